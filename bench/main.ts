/**
 * Puts the questions whose files are named, or the six that the project is measured by; these six fill
 * `results/benchmarks.md` and its picture.
 *
 * One question at a time, each in a process of its own, so that none measures what another has left behind.
 */
import { execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join, resolve } from 'node:path';
import { markdownOf, type Report, targetTable } from './support/report.js';

const QUESTIONS = [
  'refusal-notice.ts',
  'event-stream.ts',
  'gateway-latency.ts',
  'dispatch.ts',
  'memory.ts',
  'reconcile.ts',
];
const HERE = import.meta.dirname;

installPackages();
const named = process.argv.slice(2);
const reports: Report[] = [];
const startedAt = Date.now();
for (const file of named.length > 0 ? named.map((name) => resolve(name)) : QUESTIONS.map((name) => join(HERE, name))) {
  console.error(`\n${file.slice(HERE.length + 1)}, ${minutesSince(startedAt)} min since the start`);
  const report = await put(file);
  if (report === null) continue;
  reports.push(report);
  console.log(`\n${markdownOf(report)}`);
}
if (named.length === 0) fillTable();
console.error(`\n${minutesSince(startedAt)} min in all`);

/** What a question answers; null: it has printed that itself. */
async function put(file: string): Promise<Report | null> {
  const child = fork(file, { cwd: join(HERE, '..') });
  let report: Report | null = null;
  child.on('message', (message) => {
    report = message as Report;
  });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`${file} ended with ${code ?? 'a signal'}`);
  return report;
}

function fillTable(): void {
  const setup = `\`npm run bench\`, ${minutesSince(startedAt)} minutes on ${cpus().length} cores with Node ${process.versions.node}. Machines differ: ratios count.`;
  const page = [
    '# What Outrigger costs, next to what could be run instead',
    setup,
    '![the same as a picture](benchmarks.svg)',
    '## Targets',
    targetTable(reports.flatMap(({ targets = [] }) => targets)),
    '## Questions',
    ...reports.map((report) => markdownOf({ ...report, targets: [] })),
  ];
  writeFileSync(join(HERE, 'results', 'benchmarks.md'), `${page.join('\n\n')}\n`);
  const input = JSON.stringify(reports.flatMap(({ charts = [] }) => charts));
  const picture = execFileSync(process.execPath, [join(HERE, 'support', 'picture.js')], { input });
  writeFileSync(join(HERE, 'results', 'benchmarks.svg'), picture);
}

/** Installs what Outrigger is measured against, unless that is there. */
function installPackages(): void {
  const marker = join(HERE, 'node_modules', '.bench-installed');
  const manifest = readFileSync(join(HERE, 'package-lock.json'), 'utf8');
  if (existsSync(marker) && readFileSync(marker, 'utf8') === manifest) return;
  console.error('installing what is measured against (some 600 MB, under bench/node_modules)');
  execFileSync('npm', ['ci', '--prefix', HERE], { stdio: ['ignore', 'ignore', 'inherit'] });
  writeFileSync(marker, manifest);
}

function minutesSince(time: number): string {
  return ((Date.now() - time) / 60_000).toFixed(1);
}
