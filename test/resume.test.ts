import { type ApiRequest, refusal, type Step, text, toolUse } from '@outrigger/sdk/testing';
import { describe, expect, it } from 'vitest';
import { CLAUDE_VERSIONS } from './support/claude.js';
import { collect } from './support/fleet.js';
import { processesIn } from './support/outside.js';
import { resumableClaude, sessionOf } from './support/resumed-claude.js';
import { SECOND } from './support/runs.js';

const isSecond = (request: ApiRequest) => request.secret === `${SECOND.secret}-2`;

describe.each(CLAUDE_VERSIONS)('the real Claude Code %s', (version) => {
  describe.each(['gateway', 'env'] as const)('in %s mode', (mode) => {
    it('goes on in another process when its credential is refused in mid-turn, and nothing of either is lost', async () => {
      // What the tool leaves behind would live on with the next attempt.
      const command = 'setsid sleep 1000 >/dev/null 2>&1 & echo from the tool';
      const respond: Step = (request) => {
        if (isSecond(request)) return text('All done.');
        return request.turn === 0 ? toolUse('Bash', { command, description: 'leave' }) : refusal.revoked();
      };
      await using it = await resumableClaude(version, mode, respond);
      const execution = await it.dispatch();
      const events = await collect(execution);
      const outcome = await execution.outcome;
      expect(outcome).toMatchObject({ status: 'succeeded', result: 'All done.', attempts: 2, survivors: 0 });
      expect(outcome.credential).toEqual({ id: SECOND.id, generation: 2 });
      expect(it.needs).toMatchObject([{ generation: 1, reason: 'auth_revoked', executions: [execution.id] }]);

      const [first, second] = it.starts();
      expect(sessionOf(second, '--resume')).toBe(sessionOf(first, '--session-id'));
      expect(outcome.sessionId).toBe(sessionOf(first, '--session-id'));
      expect(it.overlaps()).toEqual([]);
      expect(processesIn(it.home)).toEqual([]);
      const asked = JSON.stringify(
        it.api.requests.find((request) => isSecond(request) && request.kind === 'main')?.body,
      );
      for (const words of ['Begin with the task.', 'from the tool', 'Carry on.']) expect(asked).toContain(words);

      const lines = events.filter((event) => event.type === 'message');
      for (const attempt of [1, 2]) {
        const printed = lines.filter(({ cursor }) => cursor.attempt === attempt).map(({ line }) => `${line}\n`);
        expect(printed.join('')).toBe(it.log(execution.id, attempt));
      }
      const attempts = lines.map(({ cursor }) => cursor.attempt);
      expect(attempts).toEqual(attempts.toSorted());
      expect(await collect(execution.text())).toEqual(['All done.']);
    });

    it('goes on again and again, in one session', async () => {
      // Each credential is good for one more turn than the one before.
      const respond: Step = ({ turn, secret }) => {
        const generation = Number(/-(\d+)$/.exec(secret ?? '')?.[1] ?? 1);
        if (turn === 0 && generation === 1) return toolUse('Bash', { command: 'echo one', description: 'say' });
        return generation === 3 ? text('All done.') : refusal.revoked();
      };
      await using it = await resumableClaude(version, mode, respond);
      const outcome = await (await it.dispatch({ maxResumes: 2 })).outcome;
      expect(outcome).toMatchObject({ status: 'succeeded', attempts: 3, credential: { generation: 3 } });
      const [first, ...more] = it.starts();
      const session = sessionOf(first, '--session-id');
      expect(more.map((start) => sessionOf(start, '--resume'))).toEqual([session, session]);
      expect(outcome.sessionId).toBe(session);
      expect(it.overlaps()).toEqual([]);
      const asked = it.api.requests.filter(({ kind }) => kind === 'main').at(-1);
      for (const words of ['Begin with the task.', 'Carry on.']) expect(JSON.stringify(asked?.body)).toContain(words);
    });

    it('goes on with what it was asked when its credential is refused before the first answer', async () => {
      await using it = await resumableClaude(version, mode, (request) =>
        isSecond(request) ? text('Done.') : refusal.revoked(),
      );
      const execution = await it.dispatch();
      const outcome = await execution.outcome;
      expect(outcome).toMatchObject({ status: 'succeeded', result: 'Done.', survivors: 0 });
      expect(it.overlaps()).toEqual([]);
      const asked = it.api.requests.filter((request) => isSecond(request) && request.kind === 'main');
      expect(asked).toHaveLength(1);
      expect(JSON.stringify(asked[0]?.body)).toContain('Begin with the task.');

      const [first, ...more] = it.starts();
      const session = sessionOf(first, '--session-id');
      expect(sessionOf(more[0], '--resume')).toBe(session);
      // Ended before it has noted its session, it finds none, and takes its id for one that is in use all the same.
      const isAfresh = version === '1.0.128' && mode === 'gateway';
      expect(outcome.attempts).toBe(isAfresh ? 3 : 2);
      expect(more).toHaveLength(outcome.attempts - 1);
      expect(outcome.sessionId).toBe(isAfresh ? sessionOf(more[1], '--session-id') : session);
      expect(outcome.sessionId === session).toBe(!isAfresh);
      expect(await collect(execution.text())).toEqual(['Done.']);
    });
  });
});
