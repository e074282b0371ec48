/** The methods of the verb align. */
export { ftClassifier } from './ft-classifier.ts'
export { surgery } from './surgery.ts'
