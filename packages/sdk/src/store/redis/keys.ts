/**
 * Keys of the Redis store. What belongs to one agent has its id as the hash tag, and so lives in one slot of a cluster;
 * executionIds, limits and documents have slots of their own.
 */
export class Keys {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** What is stored goes by this name. */
  get storeId(): string {
    return `${this.#prefix}:store-id`;
  }

  get agents(): string {
    return `${this.#prefix}:agents`;
  }

  agent(agentId: string): string {
    return `${this.#prefix}:{${agentId}}:agent`;
  }

  /** Executions without a conclusion, by when they were created. */
  open(agentId: string): string {
    return `${this.#prefix}:{${agentId}}:open`;
  }

  execution(agentId: string, executionId: string): string {
    return `${this.#prefix}:{${agentId}}:execution:${executionId}`;
  }

  /** Which agent an execution belongs to. */
  owner(executionId: string): string {
    return `${this.#prefix}:owner:{${executionId}}`;
  }

  limit(limit: string): string {
    return `${this.#prefix}:limit:{${limit}}`;
  }

  document(name: string): string {
    return `${this.#prefix}:document:{${name}}`;
  }
}
