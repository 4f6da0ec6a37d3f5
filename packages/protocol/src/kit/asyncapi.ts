import { CLIENT_FRAME_SCHEMAS, REQUEST_SCHEMAS } from '../frames/client.js';
import { SIDECAR_FRAME_SCHEMAS } from '../frames/sidecar.js';
import { schemaPath, VERSION_FOLDER } from './schemas.js';

const SCHEMA_FORMAT = 'application/schema+json;version=draft-2020-12';
const CHANNEL = '#/channels/connection';

/**
 * The protocol as an AsyncAPI 3 document, from the sidecar's side: it receives what clients send. Each frame is a message, each
 * request an operation with its reply.
 */
export function asyncApiDocument(): object {
  const ofClient = Object.keys(CLIENT_FRAME_SCHEMAS);
  const ofSidecar = Object.keys(SIDECAR_FRAME_SCHEMAS);
  const notices = ofSidecar.filter((type) => type !== 'reply');
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Outrigger',
      version: VERSION_FOLDER,
      description:
        'How hosts and sidecars speak with each other. PROTOCOL.md says what each frame means, and in which order they come.',
      license: { name: 'MIT' },
    },
    defaultContentType: 'application/json',
    servers: {
      sidecar: {
        host: '127.0.0.1:7411',
        protocol: 'ws',
        description: 'One agent. Off loopback: wss.',
        security: [{ $ref: '#/components/securitySchemes/controlToken' }],
      },
    },
    channels: {
      connection: {
        address: '/',
        description: 'Text frames of JSON, under the subprotocol outrigger.v1.',
        messages: Object.fromEntries([
          ...ofClient.map((type) => entry(nameOf('client', type), { $ref: messageOf('client', type) })),
          ...ofSidecar.map((type) => entry(nameOf('sidecar', type), { $ref: messageOf('sidecar', type) })),
        ]),
      },
    },
    operations: Object.fromEntries([
      ...ofClient.map((type) => entry(type, receive(type))),
      entry('notify', {
        action: 'send',
        channel: { $ref: CHANNEL },
        messages: notices.map((type) => inChannel('sidecar', type)),
      }),
    ]),
    components: {
      messages: Object.fromEntries([
        ...ofClient.map((type) => entry(nameOf('client', type), message('client', type))),
        ...ofSidecar.map((type) => entry(nameOf('sidecar', type), message('sidecar', type))),
      ]),
      securitySchemes: {
        controlToken: { type: 'http', scheme: 'bearer', description: 'The control token of the agent.' },
      },
    },
  };
}

type Side = 'client' | 'sidecar';

const entry = (name: string, value: object): [string, object] => [name, value];

const nameOf = (side: Side, type: string) => `${side}.${type}`;
const messageOf = (side: Side, type: string) => `#/components/messages/${nameOf(side, type)}`;
const inChannel = (side: Side, type: string) => ({ $ref: `${CHANNEL}/messages/${nameOf(side, type)}` });

/** `hello` is answered by `welcome`, and every request by a reply. */
function receive(type: string): object {
  const answer = type in REQUEST_SCHEMAS ? 'reply' : 'welcome';
  return {
    action: 'receive',
    channel: { $ref: CHANNEL },
    messages: [inChannel('client', type)],
    reply: { channel: { $ref: CHANNEL }, messages: [inChannel('sidecar', answer)] },
  };
}

function message(side: Side, type: string): object {
  const payload = { schemaFormat: SCHEMA_FORMAT, schema: { $ref: `./schema/${schemaPath[side](type)}` } };
  return { name: type, contentType: 'application/json', payload };
}
