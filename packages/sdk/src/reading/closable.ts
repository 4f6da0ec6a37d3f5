/** Registers what has to be closed. @returns takes it back */
export type OnClose = (close: () => void) => () => void;

/**
 * An iterator over a generator that can be left while it waits. A generator takes `return()` only once it has gone on
 * from where it waits, which may be never; so what it waits for is closed first.
 *
 * @param make gets a function to register what it waits for
 */
export function closable<T>(make: (onClose: OnClose) => AsyncGenerator<T, void>): AsyncGenerator<T, void> {
  const closers = new Set<() => void>();
  const generator = make((close) => {
    closers.add(close);
    return () => closers.delete(close);
  });
  const closeAll = () => closers.forEach((close) => close());
  return {
    next: () => generator.next(),
    return: () => {
      closeAll();
      return generator.return();
    },
    throw: (error: unknown) => {
      closeAll();
      return generator.throw(error);
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
