/** A wrong option. The message is one line that names it. */
export class OptionError extends Error {
  override readonly name = 'OptionError';
}
