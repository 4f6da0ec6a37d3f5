/** What the SDK needs of a logger; pino fits. Context comes first, as in pino, and never holds a secret. */
export interface Logger {
  /** What only the curious want to know. */
  debug(context: object, message: string): void;
  /** What has happened. */
  info(context: object, message: string): void;
  /** What did not go as it should, and is dealt with. */
  warn(context: object, message: string): void;
  /** What somebody should look at. */
  error(context: object, message: string): void;
}

const ignore = () => undefined;

export const silentLogger: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore };
