import { judgeLine, NEW_JUDGE } from '../core/judge.js';
import { type ExecutionEvent } from '../events.js';
import { closable } from './closable.js';
import { type ReadOptions, type Source } from './source.js';

/** Everything that happens to an execution, the outcome last. Reading begins with the first `next()`. */
export function readEvents(source: Source, options: ReadOptions): AsyncGenerator<ExecutionEvent, void> {
  return closable(async function* (onClose) {
    const reader = source.open(options);
    onClose(() => reader.close());
    let judge = NEW_JUDGE;
    try {
      for (let item = await reader.take(); item !== null; item = reader.takeNow() ?? (await reader.take())) {
        if (item.type !== 'line') yield item;
        else if (item.log === 'stderr') yield { type: 'stderr', line: item.line, cursor: item.cursor };
        else {
          const { line, cursor } = item;
          const step = judgeLine(judge, item);
          const { message, isQuarantined } = step.judged;
          judge = step.judge;
          yield { type: 'message', line, ...(message && { message }), quarantined: isQuarantined, cursor };
        }
      }
    } finally {
      reader.close();
    }
  });
}
