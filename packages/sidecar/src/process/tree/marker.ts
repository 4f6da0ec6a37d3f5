import { type ProcessInfo, type ProcessName } from '../../core/sweep.js';
import { type ProcessTable } from './proc.js';

/** A way to tell the processes of one execution from all others. */
export interface Marker {
  readonly name: MarkerName;
  /**
   * Whether no process of an execution can escape it without being a possible escapee of its mark: only then is a count
   * of survivors a measurement.
   */
  readonly isComplete: boolean;
  /** Makes the mark of one execution. */
  mark(executionId: string): Mark;
  /** The mark that another sidecar made, by what that one noted; null: it is not to be had any more. */
  restore(state: string): Mark | null;
  /** Removes what sidecars that were killed have left behind, but for what was restored. */
  removeLeftovers(): void;
}

export const MARKER_NAMES = ['cgroup', 'rlimit', 'lineage'] as const;
export type MarkerName = (typeof MARKER_NAMES)[number];

/** The mark on the processes of one execution. */
export interface Mark {
  /** What goes before the command so that its process starts marked; empty where nothing needs to. */
  readonly prefix: readonly string[];
  /** What must be noted for the mark to be restored; holds no secret. */
  readonly state: string;
  /** Called with the first process once that is known. */
  onLaunched(leader: ProcessName): void;
  /** The processes that bear the mark now. */
  members(table: ProcessTable): ProcessInfo[];
  /** Whoever lives and may be of the execution though the mark does not show it. */
  possibleEscapees(table: ProcessTable): readonly ProcessInfo[];
  /** Kills every member at once, where the kernel can do that. */
  killAll(): void;
  /** Gives up what the mark occupies; called when the execution has ended. */
  release(): void;
}
