/** Texts that exports are checked on: short and long, several scripts, digits, signs. */
export const sampleTexts: readonly string[] = [
  'book a table for two',
  'What is the weather like in Lisbon tomorrow?',
  'I was charged twice for invoice 4711, please refund 12.50 EUR.',
  'the app crashes again',
  'no',
  'WHY IS EVERYTHING IN CAPITALS???',
  'Où est la bibliothèque, s’il vous plaît ?',
  'Wie hoch ist der Reifendruck?',
  'מה השעה עכשיו',
  'Какая сегодня погода?',
  '请帮我订一张去北京的机票',
  '今日の天気はどうですか',
  'naïve café — “quoted” & 100% done 😀',
  `a long text that goes on and on: ${'one more thing about the order, and then another, '.repeat(40)}`,
]
