#!/bin/sh
# Puts the jars of Apache Kafka into the directory $1, for ORDERS_TEST_KAFKA. Needs Java and Maven,
# which verifies what it downloads by the checksums of its repository.
set -eu
directory=$(mkdir -p "$1" && cd "$1" && pwd)
kafka=4.1.1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>orders.tests</groupId><artifactId>kafka</artifactId><version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$kafka</version>
    </dependency>
  </dependencies>
</project>
POM
mvn --quiet --batch-mode --strict-checksums -f "$work/pom.xml" \
    org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$directory"
