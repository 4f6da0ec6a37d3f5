import { type FleetEvents } from '../events.js';
import { type Fleet } from '../fleet.js';

/** Listens to a fleet until told to stop. */
export class Listening {
  readonly #fleet: Fleet;
  readonly #stops: (() => void)[] = [];

  constructor(fleet: Fleet) {
    this.#fleet = fleet;
  }

  on<Name extends keyof FleetEvents>(name: Name, listener: (event: FleetEvents[Name][0]) => void): void {
    const emitter: NodeJS.EventEmitter = this.#fleet;
    emitter.on(name, listener);
    this.#stops.push(() => emitter.off(name, listener));
  }

  stop(): void {
    for (const stop of this.#stops.splice(0)) stop();
  }
}
