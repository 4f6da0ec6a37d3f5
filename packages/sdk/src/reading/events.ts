import { EMPTY_QUARANTINE, quarantine } from '../core/quarantine.js';
import { parseStreamLine } from '../core/stream-message.js';
import { type ExecutionEvent } from '../events.js';
import { closable } from './closable.js';
import { type LineItem } from './reader.js';
import { type ReadOptions, type Source } from './source.js';

/** Everything that happens to an execution, the outcome last. Reading begins with the first `next()`. */
export function readEvents(source: Source, options: ReadOptions): AsyncGenerator<ExecutionEvent, void> {
  return closable(async function* (onClose) {
    const reader = source.open(options);
    onClose(() => reader.close());
    let errors = EMPTY_QUARANTINE;
    try {
      for (let item = await reader.take(); item !== null; item = await reader.take()) {
        if (item.type !== 'line') yield item;
        else if (item.log === 'stderr') yield { type: 'stderr', line: item.line, cursor: item.cursor };
        else {
          const { line, cursor, message, isQuarantined, state } = judge(errors, item);
          errors = state;
          yield { type: 'message', line, ...(message && { message }), quarantined: isQuarantined, cursor };
        }
      }
    } finally {
      reader.close();
    }
  });
}

/** A line with its message and what the quarantine says of it. */
export function judge(errors: typeof EMPTY_QUARANTINE, { line, cursor }: LineItem) {
  const message = parseStreamLine(line);
  const judged = message === undefined ? { state: errors, isQuarantined: false } : quarantine(errors, message);
  return { line, cursor, message, ...judged };
}
