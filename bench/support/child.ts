import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';

/** A forked process that answers each message with one. */
export class Child<Job extends object, Answer> implements Disposable {
  readonly #process: ChildProcess;

  /** @param flags For Node. */
  constructor(file: URL, args: readonly string[], flags: readonly string[] = ['--expose-gc']) {
    this.#process = fork(file, args, { execArgv: [...flags, ...process.execArgv] });
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  async ask<A extends Answer>(job: Job): Promise<A> {
    const answer = once(this.#process, 'message') as Promise<[A]>;
    this.#process.send(job);
    return (await answer)[0];
  }

  [Symbol.dispose](): void {
    this.#process.kill();
  }
}
