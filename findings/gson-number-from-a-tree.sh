#!/bin/sh
# Gson 2.13.2: a number that does not fit into an int is refused in a text, and cut to 32 bits in a
# tree.
#
# Behaviour: fromJson(String, ...) refuses 3000000000 and 1.9 for a member of type int or Integer.
# fromJson(JsonElement, ...) takes the same two numbers from JsonParser.parseString(text), with the
# same type and the same Gson: it keeps the lowest 32 bits of the first, and drops the fraction of
# the second, without an exception.
#
# Seen:            fromJson(text)               fromJson(parseString(text))
#   3000000000     JsonSyntaxException          -1294967296
#   1.9            JsonSyntaxException          1
#
# Why it matters: code reads a tree first to look at a member that says which class to build, or to
# check for unknown members. openapi-generator's default Java client reads every answer so. A price
# of 30 million in cents becomes a negative one, in a client that seems to check its numbers.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
cd "$folder"
mvn --quiet --batch-mode org.apache.maven.plugins:maven-dependency-plugin:3.9.0:copy \
    -Dartifact=com.google.code.gson:gson:2.13.2 -DoutputDirectory=.
cat > Cut.java <<'JAVA'
import com.google.gson.Gson;
import com.google.gson.JsonParser;
import com.google.gson.JsonSyntaxException;

class Cut {
    static class Payment {
        int amount;
    }

    static String fromText(String json) {
        try {
            return String.valueOf(new Gson().fromJson(json, Payment.class).amount);
        } catch (JsonSyntaxException refused) {
            return "JsonSyntaxException";
        }
    }

    static String fromTree(String json) {
        try {
            return String.valueOf(new Gson().fromJson(JsonParser.parseString(json), Payment.class).amount);
        } catch (JsonSyntaxException refused) {
            return "JsonSyntaxException";
        }
    }

    public static void main(String[] arguments) {
        System.out.println("Gson 2.13.2, Java " + System.getProperty("java.version"));
        boolean asDescribed = true;
        String[][] cases = {{"3000000000", "-1294967296"}, {"1.9", "1"}};
        for (String[] each : cases) {
            String json = "{\"amount\": " + each[0] + "}";
            System.out.println("expected: " + each[0] + " is refused, from a text and from a tree");
            System.out.println("seen: text: " + fromText(json) + ", tree: " + fromTree(json));
            asDescribed &= fromText(json).equals("JsonSyntaxException") && fromTree(json).equals(each[1]);
        }
        System.exit(asDescribed ? 0 : 1);
    }
}
JAVA
java -cp gson-2.13.2.jar Cut.java
