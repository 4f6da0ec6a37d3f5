import { type Hello, negotiateVersion, type Welcome, type WireError } from '@outrigger/protocol';
import { type Channel } from './channel.js';
import { type SubscriptionRequest, type Subscriptions } from './subscriptions.js';

/** A subscription named in `hello` that could not be opened. */
type RefusedSubscription = Welcome['refused'][number];

export type WelcomeFactory = (refused: RefusedSubscription[]) => Welcome;

export interface HandshakeContext {
  readonly channel: Channel;
  readonly subscriptions: Subscriptions;
  readonly welcome: WelcomeFactory;
  readonly toWireError: (error: unknown) => WireError;
}

/** Answers `hello` with `welcome`, its subscriptions opened; false: with a close, as no version is common. */
export function shakeHands(hello: Hello, context: HandshakeContext): boolean {
  const { channel, welcome } = context;
  if (negotiateVersion(hello.versions) === null) {
    const message = `versions offered: ${hello.versions.join(', ')}; spoken here: 1`;
    channel.reject('unsupportedVersion', 'unsupported_version', message);
    return false;
  }
  channel.send(welcome(openCursors(hello.cursors ?? [], context)));
  return true;
}

/**
 * Opens the subscriptions that `hello` names. One that cannot be opened does not cost the connection: the client
 * would come back with the same cursor for ever.
 */
function openCursors(
  cursors: readonly SubscriptionRequest[],
  { subscriptions, toWireError }: HandshakeContext,
): RefusedSubscription[] {
  return cursors.flatMap((cursor) => {
    try {
      subscriptions.open(cursor);
      return [];
    } catch (error) {
      const { code, message } = toWireError(error);
      return [{ subscription: cursor.subscription, code, message }];
    }
  });
}
