// One page, one script, one style sheet, under names that do not change: the daemon serves them with an ETag.
import { defineConfig } from 'vite';

export default defineConfig({
  clearScreen: false,
  esbuild: { jsx: 'automatic', jsxImportSource: 'preact' },
  build: {
    target: 'es2020',
    assetsInlineLimit: 0,
    modulePreload: false,
    rollupOptions: {
      output: { entryFileNames: 'console.js', assetFileNames: 'console[extname]', inlineDynamicImports: true },
    },
  },
});
