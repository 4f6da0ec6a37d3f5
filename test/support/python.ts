import { spawnSync } from 'node:child_process';
import { ensureInstalled } from './installed.js';

/** Debian's own Python: what another one on PATH has installed is not known. */
export const PYTHON = '/usr/bin/python3';

/** Makes sure that the Python client can run. @throws Error with one line that says what to do */
export function ensurePythonWebsockets(): void {
  ensureInstalled({
    what: `websockets for ${PYTHON}`,
    debianPackage: 'python3-websockets',
    isThere: () => spawnSync(PYTHON, ['-c', 'import websockets']).status === 0,
  });
}
