import { type Logger } from 'pino';
import { endLeftovers } from './process/leftovers.js';
import { type Marker } from './process/tree/marker.js';
import { type StateFolder } from './state/folder.js';
import { type Supervisor } from './supervision/supervisor.js';

export interface Sweeping {
  readonly state: StateFolder;
  readonly markers: readonly Marker[];
  readonly supervisor: Supervisor;
  readonly logger: Logger;
}

/** Ends and removes what is left of executions that nobody knows of, such as those of a journal that was lost. */
export async function sweep({ state, markers, supervisor, logger }: Sweeping): Promise<void> {
  const ended = await endLeftovers(state.executionsPath, (id) => supervisor.isLookedAfter(id));
  ended.forEach((executionId) => logger.warn({ executionId }, 'processes were left of an execution, and were ended'));
  markers.forEach((marker) => marker.removeLeftovers());
  const unknown = state.executionIds().filter((id) => !supervisor.isKnown(id));
  await Promise.all(unknown.map((id) => state.removeExecution(id)));
}
