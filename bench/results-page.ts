/** What every results page says of itself: the command, the commit, the date and the machine. */
import { execFileSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { cpus, totalmem } from 'node:os'
import { dirname } from 'node:path'

const git = (...args: string[]): string => execFileSync('git', args, { encoding: 'utf8' }).trim()

/** Lines for the foot of a page. `command` is what anyone can type to make it again. */
export function provenance(command: string): string[] {
  const changed =
    git('status', '--porcelain', '--untracked-files=no', '--', 'src') === '' ? '' : ' with uncommitted changes'
  return [
    `- command: \`${command}\``,
    `- commit: ${git('rev-parse', '--short', 'HEAD')}${changed}`,
    `- date: ${new Date().toISOString().slice(0, 10)}`,
    `- machine: ${cpus()[0]?.model.trim() ?? 'unknown processor'}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}`,
  ]
}

/** A Markdown table. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

export const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** `0.862 ± 0.004`: mean and standard deviation over seeds. */
export function spread(values: readonly number[], digits = 3): string {
  const average = mean(values)
  const deviation = Math.sqrt(mean(values.map((value) => (value - average) ** 2)))
  return `${average.toFixed(digits)} ± ${deviation.toFixed(digits)}`
}

export async function writePage(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, `${text.trim()}\n`)
  console.log(`wrote ${file}`)
}
