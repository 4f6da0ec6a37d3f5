/**
 * The least that a proxy in Node does, to be forked with the port to connect to: it moves bytes between two sockets, knows
 * nothing of HTTP and puts no credential on anything. It sends `{ port }` once it listens.
 */
import { type AddressInfo, connect, createServer } from 'node:net';

const port = Number(process.argv[2]);
const server = createServer({ noDelay: true }, (client) => {
  const api = connect({ host: '127.0.0.1', port, noDelay: true });
  for (const [from, to] of [
    [client, api],
    [api, client],
  ] as const) {
    from.on('error', () => to.destroy());
    from.pipe(to);
  }
});
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));
