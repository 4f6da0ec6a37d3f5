import { readdirSync, readFileSync } from 'node:fs';
import { createFleet } from '@outrigger/sdk';
import { fleetMetrics } from '@outrigger/sdk/metrics';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { type Metric, Scrape, scrape } from './support/metrics.js';
import { startSidecar, type TestSidecar } from './support/sidecar.js';

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const PAGE = read('docs/metrics.md');
/** What Prometheus adds to each metric. */
const ADDED = ['instance', 'job', 'le'];

let sidecar: TestSidecar;
let served: ReadonlyMap<string, Metric>;

beforeAll(async () => {
  sidecar = await startSidecar();
  const fleet = createFleet();
  const registry = new Registry();
  fleetMetrics(fleet, { registry });
  fleet.emit('storeFailed', { operation: 'agents', error: new Error('so that there is one') });
  const ofFleet = new Scrape(await registry.metrics()).metrics;
  served = new Map([...(await scrape(sidecar)).metrics, ...ofFleet]);
  await fleet.close();
});
afterAll(() => sidecar[Symbol.asyncDispose]());

describe('docs/metrics.md', () => {
  it('lists every metric that is served, with its type and its labels, and no other', () => {
    const listed = tableRows(PAGE, /^`outrigger_/).map(([name = '', type, labels = '', told]) => {
      expect([name, told]).not.toEqual([name, '']);
      return {
        name: name.replaceAll('`', ''),
        type,
        labels: labels.replaceAll('`', '').split(' ').filter(Boolean).sort(),
      };
    });
    const real = [...served]
      .filter(([name]) => name.startsWith('outrigger_'))
      .map(([name, { type, labels }]) => ({ name, type, labels: [...labels].sort() }));
    expect(listed.sort(byName)).toEqual(real.sort(byName));
  });

  it('names the attributes that spans have, and no other', () => {
    const listed = new Set(PAGE.match(/\boutrigger\.[a-z_.]*[a-z]\b/g));
    const source = sourcesIn('packages/sdk/src/observing');
    const real = new Set(source.match(/\boutrigger\.[a-z_.]*[a-z]\b/g));
    expect([...listed].filter((name) => name !== 'outrigger.json').sort()).toEqual([...real].sort());
  });

  it('quotes messages as they are logged', () => {
    const sources = ['sidecar', 'sdk'].map((name) => sourcesIn(`packages/${name}/src`)).join('\n');
    const messages = tableRows(PAGE, /^`/).filter(([, level]) => level === 'error' || level === 'warn');
    expect(messages.length).toBeGreaterThan(15);
    for (const [quoted = ''] of messages) expect(sources).toContain(`'${quoted.replaceAll('`', '')}'`);
  });
});

describe('the dashboard for Grafana', () => {
  const { panels, templating } = JSON.parse(read('docs/grafana/outrigger.json')) as Dashboard;

  it('asks for metrics and labels that are served, in every panel', () => {
    const expressions = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
    expect(expressions.length).toBeGreaterThan(40);
    for (const expression of expressions) expect(faultsIn(expression, served)).toEqual([]);
    for (const { query } of templating.list.filter(({ type }) => type === 'query'))
      expect(faultsIn(query, served)).toEqual([]);
  });

  it('shows every metric that a sidecar or a host serves', () => {
    const text = JSON.stringify(panels);
    // Its rule warns of it, and a dashboard of a moment has nothing to show.
    const left = ['outrigger_credential_expiry_timestamp_seconds'];
    const missing = [...served.keys()].filter((name) => name.startsWith('outrigger_') && !text.includes(name));
    expect(missing).toEqual(left);
  });

  it('gives no two panels the same place or number', () => {
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    expect(new Set(panels.map(({ gridPos: { x, y } }) => `${x} ${y}`)).size).toBe(panels.length);
  });
});

describe('the rules for Prometheus', () => {
  const { groups } = parse(read('docs/prometheus-rules.yaml')) as Rules;
  const rules = groups.flatMap((group) => group.rules);

  it('ask for metrics and labels that are served, and say what is wrong', () => {
    expect(rules.length).toBeGreaterThan(15);
    for (const { alert, expr, labels, annotations } of rules) {
      expect([alert, faultsIn(expr, served)]).toEqual([alert, []]);
      expect([alert, labels.severity]).toEqual([alert, expect.stringMatching(/^(critical|warning)$/)]);
      expect(annotations.summary).not.toBe('');
    }
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
  });
});

it('what asks for something that is not served is found', () => {
  expect(faultsIn('rate(outrigger_nothing_total[5m])', served)).toEqual(['no metric outrigger_nothing_total']);
  expect(faultsIn('outrigger_slots{state="held"}', served)).toEqual(['outrigger_slots has no label state']);
  expect(faultsIn('sum by (reason) (outrigger_executions)', served)).toEqual([
    'outrigger_executions has no label reason',
  ]);
  expect(faultsIn('outrigger_execution_duration_seconds', served)).toEqual([
    'no metric outrigger_execution_duration_seconds',
  ]);
  expect(faultsIn('1 + 1', served)).toEqual(['no metric at all']);
});

/** What of a query in PromQL asks for something that there is not. */
function faultsIn(expression: string, metrics: ReadonlyMap<string, Metric>): string[] {
  const uses = [...expression.matchAll(/\b((?:outrigger|process|nodejs)_[a-z0-9_]+)(?:\{([^}]*)\})?/g)];
  if (uses.length === 0) return ['no metric at all'];
  const grouped = [...expression.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, names = '']) => names.split(', '));
  return uses.flatMap(([, name = '', matchers = '']) => {
    const metric = metricOf(name, metrics);
    if (metric === undefined) return [`no metric ${name}`];
    const matched = [...matchers.matchAll(/([a-z_]+)\s*(?:=~|!~|!=|=)/g)].map(([, label = '']) => label);
    const known = [...metric.labels, ...ADDED];
    return [...matched, ...grouped].flatMap((label) =>
      known.includes(label) ? [] : [`${name} has no label ${label}`],
    );
  });
}

/** Of a histogram only the parts can be asked for. */
function metricOf(name: string, metrics: ReadonlyMap<string, Metric>): Metric | undefined {
  const whole = metrics.get(name);
  if (whole !== undefined) return whole.type === 'histogram' ? undefined : whole;
  const parts = metrics.get(name.replace(/_(bucket|sum|count)$/, ''));
  return parts?.type === 'histogram' ? parts : undefined;
}

function tableRows(markdown: string, first: RegExp): string[][] {
  const rows = markdown.split('\n').filter((line) => line.startsWith('| '));
  return rows
    .map((row) =>
      row
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
    .filter(([cell = '']) => first.test(cell));
}

function sourcesIn(folder: string): string {
  const names = readdirSync(new URL(`../${folder}`, import.meta.url), { recursive: true, encoding: 'utf8' });
  return names
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
    .map((name) => read(`${folder}/${name}`))
    .join('\n');
}

const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);

interface Dashboard {
  panels: { id: number; gridPos: { x: number; y: number }; targets?: { expr: string }[] }[];
  templating: { list: { type: string; query: string }[] };
}

interface Rules {
  groups: {
    rules: { alert: string; expr: string; labels: { severity: string }; annotations: { summary: string } }[];
  }[];
}
