import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export interface TcpProxyOptions {
  /** Bytes towards the client after which the n-th connection is cut; undefined: it is left alone. */
  budgetOf?: (connection: number) => number | undefined;
}

/** A network between a client and a sidecar that can break, at any byte, or fall silent without a FIN. */
export class TcpProxy implements AsyncDisposable {
  /** Connections so far. */
  connections = 0;
  /** Bytes towards clients so far. */
  bytesToClients = 0;
  readonly #server: Server;
  readonly #options: TcpProxyOptions;
  readonly #target: URL;
  readonly #pairs = new Set<[client: Socket, upstream: Socket]>();
  /** Bytes towards the client after which all connections are cut. */
  #budget = Number.POSITIVE_INFINITY;
  #isSilent = false;

  private constructor(target: string, options: TcpProxyOptions) {
    this.#target = new URL(target);
    this.#options = options;
    this.#server = createServer((client) => this.#accept(client));
  }

  static async to(target: string, options: TcpProxyOptions = {}): Promise<TcpProxy> {
    const proxy = new TcpProxy(target, options);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Breaks every connection there is. */
  cut(): void {
    for (const pair of this.#pairs) pair.forEach((socket) => socket.resetAndDestroy());
  }

  /** Breaks every connection there is after so many more bytes towards the clients; what is behind them is lost. */
  cutAfter(bytes: number): void {
    this.#budget = bytes;
  }

  /** From now on the connections there are carry nothing, or nothing that way, without a word; new ones work. */
  fallSilent(way: 'both' | 'to the client' | 'to the sidecar' = 'both'): void {
    for (const [client, upstream] of this.#pairs) {
      // What is on its way is lost, and whoever sends is not held up.
      if (way !== 'to the client') client.removeAllListeners('data').resume();
      if (way !== 'to the sidecar') upstream.removeAllListeners('data').resume();
    }
  }

  /** Whether new connections are refused from now on. */
  refuse(isSilent: boolean): void {
    this.#isSilent = isSilent;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #accept(client: Socket): void {
    if (this.#isSilent) {
      client.resetAndDestroy();
      return;
    }
    const index = this.connections++;
    let budget = this.#options.budgetOf?.(index) ?? Number.POSITIVE_INFINITY;
    const upstream = connect(Number(this.#target.port), this.#target.hostname);
    const pair: [Socket, Socket] = [client, upstream];
    this.#pairs.add(pair);
    client.on('data', (chunk) => upstream.write(chunk));
    upstream.on('data', (chunk: Buffer) => {
      if (budget <= 0) return;
      this.bytesToClients += chunk.length;
      if (chunk.length > this.#budget) {
        client.write(chunk.subarray(0, this.#budget));
        this.#budget = Number.POSITIVE_INFINITY;
        for (const each of this.#pairs) each.forEach((socket) => socket.destroySoon());
        return;
      }
      this.#budget -= chunk.length;
      client.write(chunk.subarray(0, Math.max(0, budget)));
      budget -= chunk.length;
      // A FIN behind the last byte, as a reset would take back what is still on its way.
      if (budget <= 0) pair.forEach((socket) => socket.destroySoon());
    });
    for (const socket of pair) {
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.#pairs.delete(pair);
        pair.forEach((each) => each.destroy());
      });
    }
  }
}
