import { type ApiRequest } from './request.js';

interface Waiter {
  readonly predicate: (request: ApiRequest) => boolean;
  readonly resolve: (request: ApiRequest) => void;
  readonly reject: (error: Error) => void;
}

/** The requests so far, and those who wait for one. */
export class Journal {
  /** Oldest first, at most `requestsMax`. */
  readonly requests: ApiRequest[] = [];
  isClosed = false;
  readonly #waiters = new Set<Waiter>();
  readonly #requestsMax: number;

  constructor(requestsMax: number) {
    this.#requestsMax = requestsMax;
  }

  add(request: ApiRequest): void {
    this.requests.push(request);
    if (this.requests.length > this.#requestsMax) this.requests.shift();
    this.changed(request);
  }

  /** To be called after each change of a request: a predicate may look at any field. */
  changed(request: ApiRequest): void {
    for (const waiter of this.#waiters) {
      if (!matches(waiter, request)) continue;
      this.#waiters.delete(waiter);
      waiter.resolve(request);
    }
  }

  waitFor(predicate: (request: ApiRequest) => boolean): Promise<ApiRequest> {
    const known = this.requests.find((request) => predicate(request));
    if (known) return Promise.resolve(known);
    if (this.isClosed) return Promise.reject(closedError());
    return new Promise((resolve, reject) => this.#waiters.add({ predicate, resolve, reject }));
  }

  close(): void {
    this.isClosed = true;
    for (const waiter of this.#waiters) waiter.reject(closedError());
    this.#waiters.clear();
  }
}

// A predicate that throws fails its own wait, not the request that happened to come by.
function matches(waiter: Waiter, request: ApiRequest): boolean {
  try {
    return waiter.predicate(request);
  } catch (error) {
    waiter.reject(error instanceof Error ? error : new Error(String(error)));
    return false;
  }
}

function closedError(): Error {
  return new Error('The stand-in API was closed before a matching request came.');
}
