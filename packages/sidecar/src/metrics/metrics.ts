import { collectDefaultMetrics, Registry } from 'prom-client';
import { countIn } from './counts.js';
import { gaugeIn, type GaugeSources } from './gauges.js';
import { type Meter } from './meter.js';

/** The event loop's lag is sampled by a timer; a sidecar that has nothing to do is not to wake a hundred times a second. */
const LAG_SAMPLE_MS = 100;

/** What `GET /metrics` answers with. */
export interface MetricsPage {
  readonly contentType: string;
  render(): Promise<string>;
}

/** The metrics of one sidecar, in a registry of its own. */
export class Metrics implements MetricsPage {
  readonly meter: Meter;
  readonly #registry = new Registry();
  #rendering: Promise<string> | null = null;

  constructor() {
    this.meter = countIn(this.#registry);
    collectDefaultMetrics({ register: this.#registry, eventLoopMonitoringPrecision: LAG_SAMPLE_MS });
  }

  /** From now on these are asked as well. */
  watch(sources: GaugeSources): void {
    gaugeIn(this.#registry, sources);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Everything in Prometheus's text format. However many ask at a time, it is made once for all of them. */
  render(): Promise<string> {
    this.#rendering ??= this.#registry.metrics().finally(() => (this.#rendering = null));
    return this.#rendering;
  }
}
