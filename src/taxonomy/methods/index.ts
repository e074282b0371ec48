/** The methods of `organize`, one line each. */
export { htcDatasets } from './htc-datasets.ts'
