import { readFileSync } from 'node:fs';
import { DURATIONS } from '@outrigger/protocol';
import { ValidationSeverity, validate } from 'dockerfile-utils';
import { describe, expect, it } from 'vitest';
import { filesOf, readDocker, readImage, REPOSITORY } from './support/image.js';
import { composeFaults, faultsOf, readCompose, readResources, type Resource } from './support/manifests.js';
import { runSidecar } from './support/sidecar.js';

const dockerfile = readDocker('Dockerfile');
const ownImage = /```dockerfile\n(.*?)```/s.exec(readDocker('README.md'))?.[1] ?? '';
const image = readImage(dockerfile);
const compose = readCompose(readDocker('compose.yaml'));
const resources = readResources();

/** What of a pod is looked at. */
interface Pod {
  readonly terminationGracePeriodSeconds: number;
  readonly securityContext: { readonly fsGroup?: number };
  readonly containers: readonly [Container];
  readonly volumes: readonly { readonly name: string; readonly projected?: { readonly defaultMode: number } }[];
}
interface Container {
  readonly image: string;
  readonly ports: readonly [{ readonly name: string; readonly containerPort: number }];
  readonly env: readonly { readonly name: string; readonly value?: string }[];
  readonly securityContext: {
    readonly capabilities: { readonly add: readonly string[]; readonly drop: readonly string[] };
    readonly readOnlyRootFilesystem: boolean;
  };
  readonly startupProbe: Probe;
  readonly livenessProbe: Probe;
  readonly readinessProbe: Probe;
  readonly lifecycle: { readonly preStop: { readonly exec: { readonly command: readonly string[] } } };
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}
interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string; readonly scheme: string };
  readonly periodSeconds: number;
  readonly failureThreshold: number;
}

function resource(kind: string): Resource['body'] {
  const found = resources.find((one) => one.kind === kind);
  if (found === undefined) throw new Error(`there is no ${kind}`);
  return found.body;
}
const specOf = (kind: string) => resource(kind)['spec'];
const { template } = specOf('StatefulSet') as { template: { metadata: { labels: object }; spec: Pod } };
const pod = template.spec;
const [container] = pod.containers;
const podEnv = Object.fromEntries(container.env.map(({ name, value = '' }) => [name, value]));
const agents = Object.entries(compose.services).filter(([, service]) => service.image === container.image);

describe('what is wrong with the files', () => {
  it.each([
    ['docker/Dockerfile', dockerfile],
    ['the lines of docker/README.md', ownImage],
  ])('%s: nothing', (_name, text) => {
    const faults = validate(text, {
      instructionWorkdirRelative: ValidationSeverity.ERROR,
      instructionCasing: ValidationSeverity.ERROR,
      instructionEntrypointMultiple: ValidationSeverity.ERROR,
      emptyContinuationLine: ValidationSeverity.ERROR,
    });
    expect(text).toContain('ENTRYPOINT');
    expect(faults.map(({ message, range }) => `${range.start.line + 1}: ${JSON.stringify(message)}`)).toEqual([]);
  });

  it('compose.yaml: nothing, by the schema of Compose', () => {
    expect(composeFaults(compose)).toEqual([]);
  });

  it('a key of Compose that there is not would be seen', () => {
    const [[name, service] = ['', {}]] = agents;
    const faulty = { ...compose, services: { [name]: { ...service, stop_grace: '75s' } } };
    expect(composeFaults(faulty as typeof compose)).not.toEqual([]);
  });

  it('kubernetes/: nothing, by the schemas of Kubernetes', () => {
    const kinds = ['NetworkPolicy', 'PodDisruptionBudget', 'Secret', 'Secret', 'Service', 'StatefulSet'];
    expect(resources.map(({ kind }) => kind).sort()).toEqual(kinds);
    expect(faultsOf(resources)).toEqual([]);
  });

  it('a field of Kubernetes that there is not, or of another type, would be seen', () => {
    const faulty = (spec: object) => [{ apiVersion: 'v1', kind: 'Service', file: 'x', body: { ...head, spec } }];
    const head = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'x' } };
    expect(faultsOf(faulty({ publishNotReady: true })).join()).toContain('publishNotReady');
    expect(faultsOf(faulty({ publishNotReadyAddresses: 'yes' })).join()).toContain('must be boolean');
  });
});

describe('options', () => {
  /** What is not an option of the sidecar, and whose it is. */
  const OTHERS: Readonly<Record<string, string>> = {
    OUTRIGGER_AGENTS: 'examples/express-backend/config.ts',
    OUTRIGGER_TOKEN: 'examples/express-backend/config.ts',
  };

  it('that are used are options of the sidecar', async () => {
    const { stdout } = await runSidecar(['--help']);
    const options = [...stdout.matchAll(/^ {2}--([a-z-]+)/gm)].map(([, flag = '']) => flag);
    const variables = options.map((flag) => `OUTRIGGER_${flag.toUpperCase().replaceAll('-', '_')}`);
    const files = ['Dockerfile', 'compose.yaml', 'README.md', 'healthcheck.mjs'].map(readDocker);
    const manifests = resources.map(({ file }) => readDocker(`kubernetes/${file}`));
    const used = [...files, ...manifests].join('\n').match(/OUTRIGGER_[A-Z_]+/g) ?? [];
    const unknown = [...new Set(used)].filter((name) => !variables.includes(name));
    expect(used.length).toBeGreaterThan(20);
    expect(unknown.sort()).toEqual(Object.keys(OTHERS));
    for (const [name, file] of Object.entries(OTHERS)) expect(readFileSync(REPOSITORY + file, 'utf8')).toContain(name);
  });

  it('hold no secret', () => {
    const environments = [image.env, podEnv, ...Object.values(compose.services).map((one) => one.environment ?? {})];
    const names = environments.flatMap((environment) => Object.keys(environment));
    expect(names.filter((name) => /TOKEN$|SECRET|PASSWORD|API_KEY|CREDENTIAL$/.test(name))).toEqual([]);
  });
});

describe('the time a stop may take', () => {
  /** In the sidecar's own words, since it does not make them public. */
  const constant = (file: string, name: string): number => {
    const text = readFileSync(`${REPOSITORY}packages/sidecar/src/${file}`, 'utf8');
    const value = new RegExp(`^const ${name} = ([\\d_]+);`, 'm').exec(text)?.[1];
    if (value === undefined) throw new Error(`${file} has no ${name}`);
    return Number(value.replaceAll('_', ''));
  };
  const afterDrainMs =
    DURATIONS.graceMs.defaultMs +
    constant('process/kill.ts', 'KILL_MS_MAX') +
    constant('sidecar.ts', 'LAST_ACK_MS') +
    constant('link/server.ts', 'GOODBYE_MS');

  it.each(agents)(
    'is less than stop_grace_period of %s',
    (_name, { environment = {}, stop_grace_period: grace = '' }) => {
      const drainMs = Number(environment['OUTRIGGER_DRAIN_TIMEOUT_MS']);
      expect(grace).toMatch(/^\d+s$/);
      expect(Number.parseInt(grace) * 1000).toBeGreaterThanOrEqual(drainMs + afterDrainMs);
    },
  );

  it('is less than terminationGracePeriodSeconds, with the hook before it', () => {
    const { command } = container.lifecycle.preStop.exec;
    const hookMs = Number(/--wait-ms=(\d+)/.exec(command.join(' '))?.[1]) + constantOfHook('ANSWER_MS_MAX');
    const drainMs = Number(podEnv['OUTRIGGER_DRAIN_TIMEOUT_MS']);
    expect(pod.terminationGracePeriodSeconds * 1000).toBeGreaterThanOrEqual(hookMs + drainMs + afterDrainMs);
  });

  it('begins with a signal that nobody sends twice', () => {
    expect(image.entrypoint).toEqual(['tini', '--', '/opt/outrigger/bin/outrigger-keeper']);
    expect(container.lifecycle.preStop.exec.command.join(' ')).not.toMatch(/kill|signal/i);
  });

  const constantOfHook = (name: string) =>
    Number(new RegExp(`^const ${name} = (\\d+);`, 'm').exec(readDocker('healthcheck.mjs'))?.[1]);

  it('is not cut short by whoever looks at its health: the keeper has its longest pause and more', () => {
    const keeper = readFileSync(`${REPOSITORY}packages/sidecar/bin/outrigger-keeper`, 'utf8');
    const pauseMax = Number(/OUTRIGGER_KEEPER_BACKOFF_MAX:-(\d+)/.exec(keeper)?.[1]);
    const { livenessProbe } = container;
    expect(livenessProbe.periodSeconds * livenessProbe.failureThreshold).toBeGreaterThanOrEqual(2 * pauseMax);
    const { interval = '', retries = '' } = image.healthOptions;
    expect(Number.parseInt(interval) * Number(retries)).toBeGreaterThanOrEqual(2 * pauseMax);
  });
});

describe('the parts fit', () => {
  const port = Number(image.env['OUTRIGGER_LISTEN']?.split(':').pop());

  it('by port, path and scheme', () => {
    const { livenessProbe, readinessProbe, startupProbe, ports } = container;
    expect(image.instructions.find((one) => one.getKeyword() === 'EXPOSE')?.getArgumentsContent()).toBe(String(port));
    expect(ports).toEqual([{ name: 'control', containerPort: port }]);
    expect(specOf('Service')).toMatchObject({ ports: [{ port, targetPort: 'control' }] });
    expect(specOf('NetworkPolicy')).toMatchObject({ ingress: [{ ports: [{ port }] }] });
    const probe = (path: string) => ({ httpGet: { path, port: 'control', scheme: 'HTTPS' } });
    expect([startupProbe, livenessProbe]).toMatchObject([probe('/healthz'), probe('/healthz')]);
    expect(readinessProbe).toMatchObject(probe('/readyz'));
    const urls = compose.services['backend']?.environment?.['OUTRIGGER_AGENTS']?.split(',');
    expect(urls).toEqual(
      agents.map(([name, { environment }]) => `${environment?.['OUTRIGGER_AGENT_ID'] ?? ''}=wss://${name}:${port}`),
    );
  });

  it('by label', () => {
    const selector = expect.objectContaining({ 'app.kubernetes.io/name': 'outrigger-agent' }) as object;
    expect(template.metadata.labels).toEqual(selector);
    expect(specOf('Service')).toMatchObject({ selector });
    for (const kind of ['StatefulSet', 'PodDisruptionBudget']) {
      expect(specOf(kind)).toMatchObject({ selector: { matchLabels: selector } });
    }
    expect(specOf('NetworkPolicy')).toMatchObject({ podSelector: { matchLabels: selector } });
  });

  it('by file: each secret that an option names is mounted, for root alone, and everything written to is a volume', () => {
    const written = ['/var/lib/outrigger', '/home/agent', '/work', '/tmp'];
    for (const [, service] of agents) {
      const mounted = service.secrets?.map(({ target }) => `/run/secrets/${target}`);
      expect(mounted).toEqual(expect.arrayContaining(filesNamed({ ...image.env, ...service.environment })));
      const folders = [...(service.volumes ?? []), ...(service.tmpfs ?? []).map((mount) => `tmpfs:${mount}`)];
      expect(folders.map((mount) => mount.split(':')[1])).toEqual(written);
      expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'] });
    }
    const secrets = resources.filter(({ kind }) => kind === 'Secret').flatMap(({ body }) => body['stringData'] ?? []);
    const names = secrets.flatMap((data) => Object.keys(data)).map((key) => `/run/secrets/${key}`);
    expect(names).toEqual(expect.arrayContaining(filesNamed({ ...image.env, ...podEnv })));
    expect(container.volumeMounts.map(({ mountPath }) => mountPath)).toEqual([...written, '/run/secrets']);
    expect(container.securityContext).toMatchObject({ readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } });
    expect(pod.volumes.find(({ name }) => name === 'secrets')?.projected?.defaultMode).toBe(0o400);
    expect(pod.securityContext.fsGroup).toBeUndefined();
  });

  it('by capability', () => {
    for (const [, service] of agents) expect(service.cap_add).toEqual(container.securityContext.capabilities.add);
  });

  it('the lines for an image of your own run what the image runs', () => {
    const own = readImage(ownImage);
    const { OUTRIGGER_CLAUDE: _ownCli, OUTRIGGER_DRAIN_TIMEOUT_MS: _default, ...env } = image.env;
    expect(own.env).toEqual(env);
    expect(own).toMatchObject({ entrypoint: image.entrypoint, healthcheck: image.healthcheck });
    expect(filesOf(dockerfile, 'sidecar').map(({ to }) => to)).toEqual(
      expect.arrayContaining([image.entrypoint.at(-1), image.healthcheck.at(-1)]),
    );
  });
});

/** Every secret file that a sidecar would be started with. */
function filesNamed(environment: Readonly<Record<string, string>>): string[] {
  return Object.values(environment).filter((value) => value.startsWith('/run/secrets/'));
}
