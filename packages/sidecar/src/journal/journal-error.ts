export type JournalErrorCode =
  /** The disk is full or broken. What was committed before still stands; tried again, it can go well. */
  | 'unwritable'
  /** The file is no journal, or damaged at its very beginning. The operator's to look at; nothing was changed. */
  | 'unreadable'
  /** Another version of the sidecar wrote it. Nothing was changed. */
  | 'other_version';

/** Why a journal cannot be used. */
export class JournalError extends Error {
  readonly code: JournalErrorCode;

  constructor(code: JournalErrorCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'JournalError';
    this.code = code;
  }
}
