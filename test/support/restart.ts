import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type SidecarSetup, startSidecar, type TestSidecar } from './sidecar.js';

/** A sidecar that can be killed and started again, on the same state folder and the same address. */
export interface RestartableSidecar extends AsyncDisposable {
  readonly url: string;
  readonly token: string;
  readonly stateDir: string;
  /** The process of now, or the last one. */
  readonly current: TestSidecar;
  /** With SIGKILL. Resolves when it is gone. */
  kill(): Promise<void>;
  /** @param more On top of how it was started first. */
  start(more?: SidecarSetup): Promise<TestSidecar>;
  /** Both. */
  restart(more?: SidecarSetup): Promise<TestSidecar>;
}

export async function startRestartable(setup: SidecarSetup = {}): Promise<RestartableSidecar> {
  const stateDir = setup.stateDir ?? mkdtempSync(join(tmpdir(), 'outrigger-restart-'));
  let current = await startSidecar({ ...setup, stateDir });
  const { url, token } = current;
  const listen = `--listen=${new URL(url).host}`;
  const kill = async () => {
    current.process.kill('SIGKILL');
    await current.exited;
  };
  const start = async (more: SidecarSetup = {}) => {
    const args = [...(setup.args ?? []), listen, ...(more.args ?? [])];
    current = await startSidecar({ ...setup, ...more, stateDir, args });
    return current;
  };
  return {
    url,
    token,
    stateDir,
    get current() {
      return current;
    },
    kill,
    start,
    restart: async (more) => {
      await kill();
      return start(more);
    },
    [Symbol.asyncDispose]: async () => {
      await current[Symbol.asyncDispose]();
      if (setup.stateDir === undefined) rmSync(stateDir, { recursive: true, force: true });
    },
  };
}
