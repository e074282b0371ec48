/** Counters and histograms in the Prometheus text format, version 0.0.4. */

type Labels = Readonly<Record<string, string>>

const seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
const sizes = [1, 2, 4, 8, 16, 32, 64, 128, 256]

const quoted = (text: string) => (/["\\\n]/.test(text) ? escaped(text) : text)
const escaped = (text: string) => text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
const labelText = (labels: Labels) => {
  const parts = Object.entries(labels).map(([name, value]) => `${name}="${quoted(value)}"`)
  return parts.length === 0 ? '' : `{${parts.join(',')}}`
}

class Counter {
  readonly #values = new Map<string, number>()
  readonly #name: string
  readonly #help: string

  constructor(name: string, help: string) {
    this.#name = name
    this.#help = help
  }

  add(labels: Labels, by = 1): void {
    const key = labelText(labels)
    this.#values.set(key, (this.#values.get(key) ?? 0) + by)
  }

  lines(): string[] {
    const values = [...this.#values].map(([key, value]) => `${this.#name}${key} ${value}`)
    return [`# HELP ${this.#name} ${this.#help}`, `# TYPE ${this.#name} counter`, ...values]
  }
}

class Histogram {
  readonly #values = new Map<string, { labels: Labels; buckets: number[]; sum: number; count: number }>()
  readonly #name: string
  readonly #help: string
  readonly #bounds: readonly number[]

  constructor(name: string, help: string, bounds: readonly number[]) {
    this.#name = name
    this.#help = help
    this.#bounds = bounds
  }

  observe(labels: Labels, value: number): void {
    const key = labelText(labels)
    const found = this.#values.get(key) ?? { labels, buckets: this.#bounds.map(() => 0), sum: 0, count: 0 }
    this.#values.set(key, found)
    for (const [index, bound] of this.#bounds.entries()) if (value <= bound) found.buckets[index]!++
    found.sum += value
    found.count++
  }

  lines(): string[] {
    const name = this.#name
    const values = [...this.#values.values()].flatMap(({ labels, buckets, sum, count }) => [
      ...buckets.map(
        (value, index) => `${name}_bucket${labelText({ ...labels, le: String(this.#bounds[index]) })} ${value}`,
      ),
      `${name}_bucket${labelText({ ...labels, le: '+Inf' })} ${count}`,
      `${name}_sum${labelText(labels)} ${sum}`,
      `${name}_count${labelText(labels)} ${count}`,
    ])
    return [`# HELP ${name} ${this.#help}`, `# TYPE ${name} histogram`, ...values]
  }
}

/** A value read when it is asked for. */
export interface Gauge {
  name: string
  help: string
  /** Default gauge. */
  type?: 'gauge' | 'counter'
  read(): { labels: Labels; value: number }[]
}

export class Metrics {
  readonly requests = new Counter('espalier_requests_total', 'Requests by route and status.')
  readonly requestSeconds = new Histogram('espalier_request_seconds', 'Time from a request to its answer.', seconds)
  readonly batches = new Histogram('espalier_batch_texts', 'Texts that ran together.', sizes)
  readonly batchSeconds = new Histogram('espalier_batch_seconds', 'Time of a batch in an inference thread.', seconds)
  readonly reloads = new Counter('espalier_reloads_total', 'Models loaded anew, by outcome.')
  readonly faults = new Counter('espalier_thread_faults_total', 'Inference threads that died.')
  readonly gauges: Gauge[] = []

  /** The page that a Prometheus server scrapes. */
  text(): string {
    const gauges = this.gauges.flatMap(({ name, help, type = 'gauge', read }) => [
      `# HELP ${name} ${help}`,
      `# TYPE ${name} ${type}`,
      ...read().map(({ labels, value }) => `${name}${labelText(labels)} ${value}`),
    ])
    const kept = [this.requests, this.requestSeconds, this.batches, this.batchSeconds, this.reloads, this.faults]
    return `${[...kept.flatMap((metric) => metric.lines()), ...gauges].join('\n')}\n`
  }
}
