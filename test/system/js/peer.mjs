// A browser's SIP program, with JsSIP or SIP.js: registers, subscribes to its user's presence, publishes, is notified of what it
// published, and ends.  Says each step in a line; the last is "done" or begins with "failed".
import JsSIP from 'jssip';
import SIPMessage from 'jssip/lib/SIPMessage.js';
import RequestSender from 'jssip/lib/RequestSender.js';
import { Publisher, Registerer, RegistererState, Subscriber, UserAgent } from 'sip.js';

const PIDF = 'application/pidf+xml';

function pidf(uri, id) {
  return `<?xml version="1.0"?><presence xmlns="urn:ietf:params:xml:ns:pidf" entity="${uri}">` +
    `<tuple id="${id}"><status><basic>open</basic></status><note>${id} \u2014 \u00e4</note></tuple></presence>`;
}

// JsSIP has SUBSCRIBE and no PUBLISH: it is sent with JsSIP's own requests and digest.
function jssip(config, say) {
  const uri = `sip:${config.user}@${config.domain}`;
  const ua = new JsSIP.UA({ sockets: [new JsSIP.WebSocketInterface(config.url)], uri, password: config.password,
                            register: true, register_expires: 120, user_agent: 'test' });
  const fail = (what) => (e) => say(`failed ${what}: ${e && (e.cause || e.message) || e}`);
  let watch, published = false, ending = false;
  const publish = () => {
    const request = new SIPMessage.OutgoingRequest('PUBLISH', ua.normalizeTarget(uri), ua, null,
      ['Event: presence', 'Expires: 120', `Content-Type: ${PIDF}`], pidf(uri, 'one'));
    new RequestSender(ua, request, { onRequestTimeout: fail('PUBLISH'), onTransportError: fail('PUBLISH'), onAuthenticated() {},
      onReceiveResponse: (r) => say(`PUBLISH ${r.status_code}`) }).send();
  };
  ua.on('registrationFailed', fail('REGISTER'));
  ua.on('unregistered', () => { say('unregistered'); say('done'); });
  ua.on('registered', () => {
    if (watch)
      return;
    say('registered');
    watch = ua.subscribe(uri, 'presence', PIDF, { expires: 120 });
    watch.on('active', () => say('active'));
    watch.on('notify', (final, request, body) => {
      say(`NOTIFY ${body && body.includes('\u2014 \u00e4') ? 'one' : 'neutral'}`);
      if (!published) {
        published = true;
        publish();
      } else if (body && body.includes('"one"') && !ending) {
        ending = true;
        watch.terminate();
      }
    });
    watch.on('terminated', () => { say('unsubscribed'); ua.unregister(); });
    watch.subscribe();
  });
  ua.start();
}

async function sipjs(config, say) {
  const uri = UserAgent.makeURI(`sip:${config.user}@${config.domain}`);
  const ua = new UserAgent({ uri, transportOptions: { server: config.url }, authorizationUsername: config.user,
                             authorizationPassword: config.password, logLevel: 'error' });
  await ua.start();
  const registerer = new Registerer(ua, { expires: 120 });
  registerer.stateChange.addListener(async (state) => {
    if (state === RegistererState.Unregistered) {
      say('unregistered');
      say('done');
    } else if (state === RegistererState.Registered) {
      say('registered');
      const watch = new Subscriber(ua, uri, 'presence', { expires: 120, extraHeaders: [`Accept: ${PIDF}`] });
      let published = false, ending = false;
      watch.delegate = {
        onNotify(notification) {
          const body = notification.request.body || '';
          notification.accept();
          say(`NOTIFY ${body.includes('\u2014 \u00e4') ? 'one' : 'neutral'}`);
          if (!published) {
            published = true;
            new Publisher(ua, uri, 'presence', { contentType: PIDF, expires: 120 }).publish(pidf(uri, 'one'));
            say('PUBLISH 200');
          } else if (body.includes('"one"') && !ending) {
            ending = true;
            watch.unsubscribe();
          }
        },
      };
      watch.stateChange.addListener((s) => {
        if (s === 'Subscribed')
          say('active');
        if (s === 'Terminated') {
          say('unsubscribed');
          registerer.unregister();
        }
      });
      await watch.subscribe();
    }
  });
  await registerer.register();
}

export function run(config, say) {
  const stacks = { jssip, sipjs };
  try {
    Promise.resolve(stacks[config.stack](config, say)).catch((e) => say(`failed ${e}`));
  } catch (e) {
    say(`failed ${e}`);
  }
}
