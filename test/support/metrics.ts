/** One metric as Prometheus's text format has it. */
export interface Metric {
  readonly type: string;
  readonly help: string;
  /** The names of all labels that a sample of it has, but for a histogram's `le`. */
  readonly labels: readonly string[];
  readonly samples: readonly Sample[];
}

export interface Sample {
  /** With the suffix that a histogram's have. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** What a page in Prometheus's text format tells. */
export class Scrape {
  readonly metrics: ReadonlyMap<string, Metric>;

  /** @throws Error for a line that is none of the format */
  constructor(readonly text: string) {
    const metrics = new Map<string, { type: string; help: string; labels: string[]; samples: Sample[] }>();
    for (const line of text.split('\n').filter((one) => one !== '')) {
      const [, what, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
      const known = metrics.get(name) ?? { type: '', help: '', labels: [], samples: [] };
      if (what !== undefined) metrics.set(name, { ...known, [what.toLowerCase()]: rest });
      else addSample(metrics, sampleIn(line));
    }
    this.metrics = metrics;
  }

  /** The value of the one sample with these labels, or some more. @throws Error when there are more or none */
  value(name: string, labels: Record<string, string> = {}): number {
    const found = [...this.metrics.values()]
      .flatMap(({ samples }) => samples)
      .filter((one) => one.name === name && Object.entries(labels).every(([key, value]) => one.labels[key] === value));
    const [sample] = found;
    if (sample === undefined || found.length > 1) throw new Error(`${found.length} samples of ${name}`);
    return sample.value;
  }

  /** The values of all samples of a metric with one label, by its value, as far as they are not 0. */
  byLabel(name: string): Record<string, number> {
    const samples = this.metrics.get(name)?.samples ?? [];
    const told = samples.filter(({ value }) => value !== 0);
    return Object.fromEntries(told.map(({ labels, value }) => [Object.values(labels).join(' '), value]));
  }

  /** Every name that a query can ask for. */
  get sampleNames(): Set<string> {
    return new Set([...this.metrics.values()].flatMap(({ samples }) => samples.map(({ name }) => name)));
  }
}

/** What `GET /metrics` of a sidecar tells now. */
export async function scrape({ url }: { readonly url: string }): Promise<Scrape> {
  const response = await fetch(`${url.replace('ws', 'http')}/metrics`);
  if (!response.ok) throw new Error(`GET /metrics: ${response.status}`);
  return new Scrape(await response.text());
}

function addSample(metrics: Map<string, { labels: string[]; samples: Sample[] }>, sample: Sample): void {
  const metric = metrics.get(sample.name) ?? metrics.get(sample.name.replace(/_(bucket|sum|count)$/, ''));
  if (metric === undefined) throw new Error(`${sample.name} is not declared`);
  metric.samples.push(sample);
  const names = Object.keys(sample.labels).filter((name) => name !== 'le' && !metric.labels.includes(name));
  metric.labels.push(...names);
}

function sampleIn(line: string): Sample {
  const [, name, labels = '', value] = /^([a-z0-9_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
  if (name === undefined) throw new Error(`no sample: ${line}`);
  const pairs = [...labels.matchAll(/([a-z0-9_]+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, text]) => [key, text]);
  return { name, labels: Object.fromEntries(pairs) as Record<string, string>, value: Number(value) };
}
