import { OutriggerError } from '@outrigger/protocol';
import { type StoreFailed } from '../events.js';
import { type Store } from './store.js';

/** What a store refuses by its rules: that is an answer, not a failure. */
const ANSWERS: readonly string[] = ['stale_fence', 'wrong_agent', 'unreadable_record'];

/** The same store, of whose failures somebody is told as well. */
export function watchedStore(store: Store, onFailed: (failure: StoreFailed) => void): Store {
  return new Proxy(store, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== 'function') return member;
      const method = member.bind(target) as (...args: unknown[]) => unknown;
      if (name === 'close' || typeof name === 'symbol') return method;
      return async (...args: unknown[]) => {
        try {
          return await method(...args);
        } catch (error) {
          if (!isAnswer(error)) onFailed({ operation: name as StoreFailed['operation'], error });
          throw error;
        }
      };
    },
  });
}

function isAnswer(error: unknown): boolean {
  return error instanceof OutriggerError && ANSWERS.includes(error.code);
}
