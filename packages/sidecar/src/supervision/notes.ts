import { type ExecutionJournal } from '../journal/execution-journal.js';

/** Where executions are written down; see {@link ExecutionJournal}. */
export type Notes = Pick<ExecutionJournal, 'promise' | 'note' | 'commit' | 'settle'>;
