# Completion of xe for bash: source this file, or put it into the completions directory.
#
# bash takes '=' and ':' for ends of words; xe does not. So xe gets the line itself and answers
# with whole words, and what bash already has of the word is cut off again.
_xe() {
    local line=${COMP_LINE:0:COMP_POINT}
    local word=${line##*[[:space:]]}
    local kept=''
    case $word in
        *[=:]*) kept=${word%"${word##*[=:]}"} ;;
    esac
    local IFS=$'\n'
    COMPREPLY=($(command "${COMP_WORDS[0]}" complete "$line" 2>/dev/null))
    local at
    for at in "${!COMPREPLY[@]}"; do
        COMPREPLY[at]=${COMPREPLY[at]#"$kept"}
    done
    # A parameter's name goes on with its value: no blank behind it.
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=:] ]]; then
        compopt -o nospace
    fi
}
complete -o default -F _xe xe
