import { expect, it } from 'vitest';
import { Admission } from './admission.js';
import { type AdmissionEvent } from './events.js';

const opening = { openedAt: 1, retryAt: 2, openings: 1, executionId: 'run', reason: 'crashed' } as const;
const circuit = { ...opening, state: 'open' } as const;

function listen() {
  const events: AdmissionEvent[] = [];
  return { events, admission: new Admission((event) => events.push(event)) };
}

it('an opening is one event, however many connections and sidecar processes tell of it (D6)', () => {
  const { events, admission } = listen();
  admission.onWelcome({ bootId: 'a' });
  admission.onNotice({ type: 'circuit_opened', ...opening });
  admission.onWelcome({ bootId: 'a', circuit });
  admission.onWelcome({ bootId: 'b', circuit: { ...circuit, state: 'half_open', retryAt: 9 } });
  expect(events).toEqual([{ name: 'circuitOpened', event: opening }]);
  admission.onNotice({ type: 'circuit_opened', ...opening, openedAt: 5, openings: 2 });
  admission.onNotice({ type: 'circuit_closed', at: 7, openedAt: 5, executionId: 'good' });
  expect(events.slice(1)).toEqual([
    { name: 'circuitOpened', event: { ...opening, openedAt: 5, openings: 2 } },
    { name: 'circuitClosed', event: { openedAt: 5, at: 7, executionId: 'good' } },
  ]);
});

it('what opened or closed while nobody listened is told with the next connection', () => {
  const { events, admission } = listen();
  admission.onWelcome({ bootId: 'a', circuit });
  admission.onWelcome({ bootId: 'a' });
  admission.onWelcome({ bootId: 'a' });
  expect(events).toEqual([
    { name: 'circuitOpened', event: opening },
    { name: 'circuitClosed', event: { openedAt: 1 } },
  ]);
});
