import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { type AddressInfo } from 'node:net';

/** A provider that answers as a test says, where the stand-in is too well-behaved. */
export interface Upstream extends AsyncDisposable {
  readonly url: string;
  /** Connections so far. */
  readonly connections: number;
}

export async function startUpstream(onRequest: RequestListener): Promise<Upstream> {
  const server = createServer({ keepAliveTimeout: 600_000 }, onRequest);
  let connections = 0;
  server.on('connection', () => (connections += 1));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get connections() {
      return connections;
    },
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
