interface Node<T> {
  readonly item: T;
  next: Node<T> | undefined;
}

/** A queue whose `shift` takes as long however much stays: `Array.shift` is linear once an array is long. */
export class Fifo<T> {
  #first: Node<T> | undefined;
  #last: Node<T> | undefined;

  push(item: T): void {
    const node: Node<T> = { item, next: undefined };
    if (this.#last === undefined) this.#first = node;
    else this.#last.next = node;
    this.#last = node;
  }

  peek(): T | undefined {
    return this.#first?.item;
  }

  shift(): void {
    this.#first = this.#first?.next;
    if (this.#first === undefined) this.#last = undefined;
  }

  clear(): void {
    this.#first = undefined;
    this.#last = undefined;
  }
}
