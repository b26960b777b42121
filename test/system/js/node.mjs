// node node.mjs STACK URL USER PASSWORD DOMAIN: peer.mjs in Node; NODE_EXTRA_CA_CERTS names the authority for wss.
import WebSocket from 'ws';
globalThis.WebSocket = WebSocket;
const { run } = await import('./peer.mjs');
const [stack, url, user, password, domain] = process.argv.slice(2);
run({ stack, url, user, password, domain }, (line) => {
  console.log(line);
  if (line === 'done' || line.startsWith('failed'))
    setTimeout(() => process.exit(line === 'done' ? 0 : 1), 50);
});
