#!/usr/bin/env node
// Asks the sidecar of this container for /healthz, and exits with 0 if it answers well, with 1 if not. It knows where from
// the sidecar's own variables, OUTRIGGER_LISTEN and OUTRIGGER_TLS_CERT: a sidecar that was given flags instead is not
// found. `--wait-ms N` asks again and again until it answers well or the time is up.
import http from 'node:http';
import https from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

const ANSWER_MS_MAX = 4000;
const BETWEEN_MS = 200;
/** To be reached where it listens on every address. */
const LOOPBACK = { '0.0.0.0': '127.0.0.1', '[::]': '[::1]' };

const { values } = parseArgs({ options: { 'wait-ms': { type: 'string', default: '0' } } });
const until = performance.now() + Number(values['wait-ms']);

let problem = await ask();
while (problem !== null && performance.now() < until) {
  await sleep(BETWEEN_MS);
  problem = await ask();
}
if (problem !== null) console.error(`healthcheck: ${problem}`);
process.exit(problem === null ? 0 : 1);

/** What is wrong; null: nothing. */
function ask() {
  const [, host, port] = /^(.*):(\d+)$/.exec(process.env.OUTRIGGER_LISTEN ?? '127.0.0.1:7411') ?? [];
  const isTls = (process.env.OUTRIGGER_TLS_CERT ?? '') !== '';
  const url = `${isTls ? 'https' : 'http'}://${LOOPBACK[host] ?? host}:${port}/healthz`;
  // Whose certificate it is does not matter here: nothing secret is sent, and it is the own loopback.
  const options = { rejectUnauthorized: false, signal: AbortSignal.timeout(ANSWER_MS_MAX) };
  return new Promise((resolve) => {
    (isTls ? https : http)
      .get(url, options, (response) => {
        response.resume();
        resolve(response.statusCode === 200 ? null : `${url} answered ${response.statusCode}`);
      })
      .on('error', (error) => resolve(`${url}: ${error.message}`));
  });
}
