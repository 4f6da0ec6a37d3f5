/** Why a sidecar cannot start now, though its options are right: it may start later. The message is one line. */
export class StartError extends Error {
  override readonly name = 'StartError';
}
