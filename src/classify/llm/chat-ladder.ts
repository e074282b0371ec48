/**
 * Five ways to prompt a chat model for a label, from the plainest to the most elaborate: role, zero-shot chain of thought, three-shot chain of thought,
 * least-to-most, generated knowledge (Budagam et al., Hierarchical prompting taxonomy, 2024), and the selector of the adaptive framework.
 */
import type { Ladder } from '../../evaluate/hp-score.ts'
import type { ChatEndpoint, ChatPrompt, ChatReply } from './chat-endpoint.ts'
import { parseReply } from './parse-reply.ts'
import type { Example } from './prompt.ts'

export interface LadderItem {
  readonly text: string
  /** The label as it is offered. */
  readonly gold: string
}

export interface ChatLadderOptions {
  /** Labels as they are offered to the model. */
  readonly labels: readonly string[]
  /** Labels of the first level, for the first question of least-to-most; empty for a flat tree. */
  readonly groups: readonly string[]
  /** Three worked examples. */
  readonly examples: readonly Example[]
  readonly endpoint: ChatEndpoint
  /** Writes the knowledge of level 5. Default: the same endpoint. */
  readonly knowledge?: ChatEndpoint
  /** Hears of every call. */
  readonly onCall?: (prompt: ChatPrompt, reply: ChatReply) => void
}

export const ladderNames = [
  'role',
  'zero-shot chain of thought',
  'three-shot chain of thought',
  'least-to-most',
  'generated knowledge',
] as const

const knowledgeStatements = 3
const thoughtTokens = 400
const labelTokens = 40

/** The ladder over one endpoint. An item is solved when the reply names its label. */
export function chatLadder(options: ChatLadderOptions): Ladder<LadderItem> {
  const { labels, groups, examples, endpoint, knowledge = endpoint, onCall } = options
  const list = `Labels:\n${labels.map((label) => `- ${label}`).join('\n')}`
  const finish = 'End with one line "Label: " and the label, exactly as it is written in the list.'
  const call = async (to: ChatEndpoint, system: string, user: string, most: number, signal?: AbortSignal) => {
    const prompt = { system, user, maxOutputTokens: most }
    const reply = await to.complete(prompt, signal)
    onCall?.(prompt, reply)
    return reply.text
  }
  const judge = ({ gold }: LadderItem, reply: string) => {
    const found = parseReply(lastLabel(reply), labels)
    const answer = found === undefined ? lastLabel(reply) : labels[found]!
    return { answer, solved: answer === gold && found !== undefined }
  }
  const worked = examples.map(({ text, label }) => `Text: ${text}\nThe text speaks of ${label}.\nLabel: ${label}`)
  return [
    async (item, signal) =>
      judge(
        item,
        await call(
          endpoint,
          `You are an expert in classifying texts. Choose the label that fits the text. Answer with the label alone.\n\n${list}`,
          `Text: ${item.text}\nLabel:`,
          labelTokens,
          signal,
        ),
      ),
    async (item, signal) =>
      judge(
        item,
        await call(
          endpoint,
          `Choose the label that fits the text. Think step by step. ${finish}\n\n${list}`,
          `Text: ${item.text}`,
          thoughtTokens,
          signal,
        ),
      ),
    async (item, signal) =>
      judge(
        item,
        await call(
          endpoint,
          `Choose the label that fits the text. Think step by step, as in the examples. ${finish}\n\n${list}\n\n${worked.join('\n\n')}`,
          `Text: ${item.text}`,
          thoughtTokens,
          signal,
        ),
      ),
    async (item, signal) => {
      const about = await call(
        endpoint,
        'Say in one sentence what the writer of the text wants or speaks of.',
        `Text: ${item.text}`,
        thoughtTokens,
        signal,
      )
      const told = [`Text: ${item.text}`, `What it is about: ${about.trim()}`]
      if (groups.length > 0) {
        const group = await call(
          endpoint,
          `Which of these groups does the text belong to? Answer with the group alone.\n\nLabels:\n${groups.map((label) => `- ${label}`).join('\n')}`,
          told.join('\n'),
          labelTokens,
          signal,
        )
        told.push(`Its group: ${group.trim()}`)
      }
      const system = `Choose the label that fits the text; what was found out about it stands below it. ${finish}\n\n${list}`
      return judge(item, await call(endpoint, system, told.join('\n'), thoughtTokens, signal))
    },
    async (item, signal) => {
      const known: string[] = []
      for (let i = 0; i < knowledgeStatements; i++) {
        const said = known.map((each) => `Known already: ${each}`)
        const user = [`Text: ${item.text}`, ...said].join('\n')
        const system = `Write one fact that helps to decide which label fits the text, other than those known already.\n\n${list}`
        known.push((await call(knowledge, system, user, thoughtTokens, signal)).trim())
      }
      const system = `Choose the label that fits the text, with the help of the knowledge below it. ${finish}\n\n${list}`
      const user = [`Text: ${item.text}`, ...known.map((each) => `Knowledge: ${each}`)].join('\n')
      return judge(item, await call(endpoint, system, user, thoughtTokens, signal))
    },
  ]
}

/** The selector of the adaptive framework: a model reads the item and the last failed answer and names a level. What is no number wastes the round. */
export function chatSelector({ endpoint, onCall }: Pick<ChatLadderOptions, 'endpoint' | 'onCall'>) {
  const system = `How elaborate must a prompt be so that the text is classified rightly? Answer with the number of one level alone.\n${ladderNames
    .map((name, i) => `${i + 1}: ${name}`)
    .join('\n')}`
  return async ({ text }: LadderItem, last: string | undefined, signal?: AbortSignal): Promise<number> => {
    const failed = last === undefined ? '' : `\nThe last answer was wrong: ${last}`
    const prompt = { system, user: `Text: ${text}${failed}\nLevel:`, maxOutputTokens: 8 }
    const reply = await endpoint.complete(prompt, signal)
    onCall?.(prompt, reply)
    return Number(/\d+/.exec(reply.text)?.[0] ?? 0)
  }
}

/** What stands after the last "Label:", or the whole reply. */
function lastLabel(reply: string): string {
  const found = [...reply.matchAll(/^\W*label\s*:\s*(.+)$/gim)].at(-1)
  return (found?.[1] ?? reply).trim()
}
