// peer.mjs in a browser: what to do stands behind the # of the page's address, as JSON.
import { run } from './peer.mjs';
run(JSON.parse(decodeURIComponent(location.hash.slice(1))), (line) => console.log(`peer: ${line}`));
