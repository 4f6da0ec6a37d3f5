/** How long the suite waits for an answer, in milliseconds. */
export const ANSWER_MS_MAX = 10_000;

/** How long the one run of the CLI may take, in milliseconds. */
export const RUN_MS_MAX = 180_000;

/** How often an upgrade is tried again that is refused because too many have failed. */
export const RETRIES_MAX = 5;
