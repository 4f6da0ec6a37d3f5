import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, STATUS_CODES } from 'node:http';
import { type AddressInfo } from 'node:net';
import { type Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { SUBPROTOCOL } from '@outrigger/protocol';
import { type RawData, WebSocket, WebSocketServer } from 'ws';

export type Frame = Record<string, unknown> & { readonly type?: unknown };

/** What a broken sidecar does differently. Each gives what is passed on instead: a frame, several, or none. */
export interface Alterations {
  /** Headers of an upgrade, as the sidecar gets them. */
  upgrade?: (headers: IncomingHttpHeaders) => IncomingHttpHeaders;
  /** The path of an upgrade, as the sidecar gets it. */
  path?: (path: string) => string;
  /** A frame of the client. One that is no JSON is passed on as it is. */
  toSidecar?: (frame: Frame) => Frame | Frame[] | undefined;
  /** A frame of the sidecar. */
  toClient?: (frame: Frame) => Frame | Frame[] | undefined;
}

/** A sidecar that breaks the protocol: a real one behind a proxy that changes what it says or hears. */
export async function startAlteringProxy(target: string, alter: Alterations) {
  const server = createServer();
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, handleProtocols: () => SUBPROTOCOL });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => undefined);
    const { 'sec-websocket-protocol': protocols = '', ...rest } = alter.upgrade?.(request.headers) ?? request.headers;
    const names = ['authorization', 'origin'].filter((name) => rest[name] !== undefined);
    const path = alter.path?.(request.url ?? '/') ?? request.url ?? '/';
    const upstream = new WebSocket(new URL(path, target), protocols.split(/, */).filter(Boolean), {
      headers: Object.fromEntries(names.map((name) => [name, rest[name]])),
      perMessageDeflate: false,
    });
    upstream.on('error', () => socket.destroy());
    upstream.on('unexpected-response', (_request, response) => void refuse(socket, response));
    upstream.on('open', () => {
      sockets.handleUpgrade(request, socket, head, (client) => join(client, upstream, alter));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      sockets.clients.forEach((client) => client.terminate());
      server.close();
      await once(server, 'close');
    },
  };
}

function join(client: WebSocket, upstream: WebSocket, { toClient, toSidecar }: Alterations): void {
  client.on('error', () => undefined);
  client.on('message', (data, isBinary) => pass(data, isBinary, { to: upstream, alter: toSidecar }));
  upstream.on('message', (data, isBinary) => pass(data, isBinary, { to: client, alter: toClient }));
  client.on('close', () => upstream.terminate());
  upstream.on('close', (code, reason) => {
    if (code === 1005 || code === 1006) client.terminate();
    else client.close(code, reason);
  });
}

function pass(
  data: RawData,
  isBinary: boolean,
  { to, alter = (frame) => frame }: { to: WebSocket; alter: Alterations['toClient'] },
): void {
  const frame = isBinary ? undefined : frameIn((data as Buffer).toString());
  if (frame === undefined) {
    to.send(data as Buffer, { binary: isBinary });
    return;
  }
  for (const altered of [alter(frame)].flat()) if (altered !== undefined) to.send(JSON.stringify(altered));
}

function frameIn(message: string): Frame | undefined {
  try {
    return JSON.parse(message) as Frame;
  } catch {
    return undefined;
  }
}

async function refuse(socket: Duplex, response: IncomingMessage): Promise<void> {
  const body = await text(response);
  const status = response.statusCode ?? 500;
  const names = ['www-authenticate', 'retry-after', 'content-type'].filter(
    (name) => response.headers[name] !== undefined,
  );
  const lines = names.map((name) => `${name}: ${String(response.headers[name])}`);
  const head = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`, 'connection: close', ...lines];
  socket.end(`${head.join('\r\n')}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}
