import { once } from 'node:events';
import { type Outcome } from '@outrigger/protocol';
import { WebSocket } from 'ws';
import { TOKEN } from './process.js';

export interface Frame {
  readonly type: string;
  readonly executionId?: string;
  readonly state?: string;
  readonly outcome?: Outcome;
  readonly lines?: readonly string[];
  /** When this process got it, in `performance.now()` milliseconds. */
  readonly receivedAt: number;
}

/** A host that speaks the protocol by hand, so that nothing but the sidecar is measured. */
export class BenchHost {
  readonly #socket: WebSocket;
  readonly #frames: Frame[] = [];
  readonly #waiting = new Set<() => void>();

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data: Buffer) => {
      this.#frames.push({
        ...(JSON.parse(data.toString()) as Omit<Frame, 'receivedAt'>),
        receivedAt: performance.now(),
      });
      this.#waiting.forEach((check) => check());
    });
  }

  static async connect(url: string): Promise<BenchHost> {
    const socket = new WebSocket(url, 'outrigger.v1', { headers: { authorization: `Bearer ${TOKEN}` } });
    await once(socket, 'open');
    const host = new BenchHost(socket);
    host.send({ type: 'hello', versions: [1], client: { name: 'bench' } });
    return host;
  }

  send(frame: object): void {
    this.#socket.send(JSON.stringify(frame));
  }

  /** Dispatches a run and follows its output. */
  dispatch(executionId: string, request: object): void {
    const from = { attempt: 1, stdout: 0, stderr: 0 };
    this.send({ type: 'dispatch', id: 'd', executionId, request });
    this.send({ type: 'subscribe', id: 's', subscription: executionId, executionId, from, creditBytes: 1_000_000 });
  }

  /** The first frame, past or to come, for which `wanted` holds. */
  async waitFor(wanted: (frame: Frame) => boolean): Promise<Frame> {
    return new Promise((resolve) => {
      const check = () => {
        const frame = this.#frames.find(wanted);
        if (frame === undefined) return;
        this.#waiting.delete(check);
        resolve(frame);
      };
      this.#waiting.add(check);
      check();
    });
  }

  /** The lines printed so far by a run, once they satisfy `wanted`. */
  async linesUntil(executionId: string, wanted: (lines: readonly string[]) => boolean): Promise<readonly string[]> {
    const linesOf = (frame: Frame) =>
      frame.type === 'output' && frame.executionId === executionId ? (frame.lines ?? []) : [];
    await this.waitFor(() => wanted(this.#frames.flatMap(linesOf)));
    return this.#frames.flatMap(linesOf);
  }

  async outcome(executionId: string): Promise<{ outcome: Outcome; receivedAt: number }> {
    const { outcome, receivedAt } = await this.waitFor((frame) => frame.outcome?.executionId === executionId);
    if (outcome === undefined) throw new Error('a frame without outcome');
    return { outcome, receivedAt };
  }

  close(): void {
    this.#socket.close();
  }
}
