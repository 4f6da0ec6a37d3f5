/** The stores of the clients that are connected. Where they do not share one, each takes outcomes away from the others. */
export class ClientStores {
  readonly #ids = new Map<object, string>();

  /** @param storeId Undefined: the client has none. @returns the stores of others that are not the same */
  join(client: object, storeId: string | undefined): string[] {
    if (storeId === undefined) return [];
    const others = new Set(this.#ids.values());
    others.delete(storeId);
    this.#ids.set(client, storeId);
    return [...others];
  }

  leave(client: object): void {
    this.#ids.delete(client);
  }
}
