import { type Logger, pino } from 'pino';

/** For tests that are not about the log. */
export const silentLogger: Logger = pino({ level: 'silent' });
