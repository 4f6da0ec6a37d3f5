export { OptionError } from './options/option-error.js';
export { helpText, readOptions, type SidecarOptions } from './options/options.js';
export { type Sidecar, startSidecar } from './sidecar.js';
export { SIDECAR_VERSION } from './version.js';
