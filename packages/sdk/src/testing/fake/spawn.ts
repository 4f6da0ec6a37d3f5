import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { print } from './output.js';
import { type SpawnStep } from './steps.js';

// $1 is this text itself, $2 how many successors are left: each one starts the next and exits.
const hop = '[ "$2" -gt 0 ] || exit 0; sleep 0.05; sh -c "$1" hop "$1" $(($2 - 1)) &';
const hopsPerSecond = 20;

/** Starts the step's process, and prints its pid once it runs under the conditions asked for. */
export async function spawnChild(step: SpawnStep): Promise<void> {
  const output = step.holdStdout === true ? 'inherit' : 'ignore';
  const child = spawn('/bin/sh', shellArguments(step), {
    // On fd 3 the process tells its pid, which a double fork would otherwise hide.
    stdio: ['ignore', output, output, 'pipe'],
    detached: step.setsid === true,
    ...(step.cleanEnv === true ? { env: {} } : {}),
  });
  await once(child, 'spawn');
  child.unref();
  const pid = Number(await text(child.stdio[3] as Readable));
  print({ type: 'system', subtype: 'fake_spawned', pid });
}

function shellArguments(step: SpawnStep): string[] {
  const deaf = step.ignoreSignals === true ? `trap '' TERM INT HUP; ` : '';
  const idle =
    step.respawn === true
      ? `sh -c "$1" hop "$1" ${Math.ceil(step.seconds * hopsPerSecond)} &`
      : `exec sleep ${step.seconds}`;
  const main = `${deaf}echo $$ >&3; exec 3>&-; ${idle}`;
  return step.doubleFork === true ? ['-c', 'sh -c "$2" fake "$1" &', 'fake', hop, main] : ['-c', main, 'fake', hop];
}
