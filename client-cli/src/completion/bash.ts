import { everyNode, everyOption, quoted, takes, type CommandNode } from './tree.js';

/**
 * Needs bash alone, no bash-completion. Words are put together again where bash parts them at `:`, `=` and `@`
 * (COMP_WORDBREAKS), since URLs and names of devices hold these.
 */
export function bashCompletion(tree: CommandNode): string {
  const nodes = [...everyNode(tree)];
  const options = everyOption(tree);
  const children = nodes.filter((node) => node.children.length > 0);
  return `# bash completion of postern. In ~/.bashrc: source <(postern completion bash)

__postern_children() {
  case "$1" in
${children.map((node) => `    ${quoted(node.path)}) printf '%s\\n' ${node.children.map(({ name }) => name).join(' ')} ;;`).join('\n')}
  esac
}

__postern_options() {
  case "$1" in
${nodes.map((node) => `    ${quoted(node.path)}) printf '%s\\n' ${node.options.map(({ flag }) => flag).join(' ')} ;;`).join('\n')}
  esac
}

# What the value of an option is; fails where it takes none.
__postern_value() {
  case "$1" in
${options.map(({ flag, value }) => (value === null ? '' : `    ${flag}) printf '%s\\n' ${takes(value)} ;;\n`)).join('')}    *) return 1 ;;
  esac
}

__postern_argument() {
  case "$1:$2" in
${nodes.flatMap((node) => node.args.map((arg, index) => `    ${quoted(`${node.path}:${index}`)}) printf '%s\\n' ${takes(arg)} ;;`)).join('\n')}
  esac
}

# Adds those of the lines on stdin that begin as the current word does, as one would type them.
__postern_offer() {
  local word typed
  while IFS= read -r word; do
    case "$cur" in
      \\'* | \\"*) typed=$word; [[ $typed == "\${cur:1}"* ]] || continue ;;
      *) printf -v typed '%q' "$word"; [[ $typed == "$cur"* ]] || continue ;;
    esac
    COMPREPLY+=("\${typed#"$prefix"}")
  done
}

__postern_complete() {
  local kind=$1
  case "$kind" in
    =*) printf '%s\\n' \${kind#=} ;;
    device | profile) "\${words[0]}" complete-words "$kind" 2>/dev/null ;;
  esac
}

_postern() {
  local words=() word rest=\${COMP_LINE:0:COMP_POINT} i
  for word in "\${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
    if [[ \${#words[@]} -eq 0 || $rest == [[:blank:]]* ]]; then words+=("$word"); else words[\${#words[@]}-1]+=$word; fi
    rest=\${rest#"\${rest%%[![:blank:]]*}"}
    rest=\${rest#"$word"}
  done
  local last=$((\${#words[@]} - 1))
  local cur=\${words[last]} prefix='' path='' count=0 pending='' child
  [[ $cur == *[:=@]* ]] && prefix=\${cur%"\${cur##*[:=@]}"}
  for ((i = 1; i < last; i++)); do
    word=\${words[i]}
    if [[ -n $pending ]]; then pending=''; continue; fi
    case "$word" in
      --*=*) ;;
      -*) __postern_value "$word" >/dev/null && pending=$word ;;
      *)
        child=''
        while IFS= read -r rest; do [[ $rest == "$word" ]] && child=$rest; done < <(__postern_children "$path")
        if [[ -n $child ]]; then path=\${path:+$path }$child; else count=$((count + 1)); fi
        ;;
    esac
  done
  COMPREPLY=()
  local kind
  if [[ -n $pending ]]; then kind=$(__postern_value "$pending")
  elif [[ $cur == -* ]]; then __postern_offer < <(__postern_options "$path"); return
  elif [[ -n $(__postern_children "$path") ]]; then __postern_offer < <(__postern_children "$path"); return
  else kind=$(__postern_argument "$path" "$count")
  fi
  case "$kind" in
    file) compopt -o filenames 2>/dev/null; while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -f -- "$cur") ;;
    folder) compopt -o filenames 2>/dev/null; while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -d -- "$cur") ;;
    *) __postern_offer < <(__postern_complete "$kind") ;;
  esac
}
complete -F _postern postern
`;
}
