/** What answers cost that came from a paid endpoint, in one line. */
const count = (value: number, word: string): string =>
  `${value.toLocaleString('en-US')} ${word}${value === 1 ? '' : 's'}`

/** `cost          4 calls, 1,204 input and 20 output tokens, price 0.0002; 1 repair, 1 text unanswered`. */
export function costLine(usage: Readonly<Record<string, number>>): string {
  const of = (key: string) => usage[key] ?? 0
  const estimated = of('estimatedCalls') > 0 ? ' (estimated)' : ''
  const main = [
    count(of('calls'), 'call'),
    `${of('inputTokens').toLocaleString('en-US')} input and ${count(of('outputTokens'), 'output token')}${estimated}`,
    ...(of('price') > 0 ? [`price ${of('price').toPrecision(3)}`] : []),
  ]
  const odd = [
    ...(of('retries') > 0 ? [count(of('retries'), 'repeated request')] : []),
    ...(of('repairs') > 0 ? [count(of('repairs'), 'repair')] : []),
    ...(of('unparsed') > 0 ? [`${count(of('unparsed'), 'text')} unanswered`] : []),
  ]
  return `cost          ${[main.join(', '), ...(odd.length > 0 ? [odd.join(', ')] : [])].join('; ')}`
}
